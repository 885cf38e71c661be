namespace SoftSgx.Kernel;

/// <summary>
/// The provisioning device, <c>/dev/sgx_provision</c>: to be able to open it is the right to the provisioning key.
/// Behaviour: sgx_provision_fops in arch/x86/kernel/cpu/sgx/main.c, which has no operations.
/// </summary>
public sealed class ProvisionDevice
{
    internal ProvisionDevice()
    {
    }

    /// <summary>Opens the device. Who may do so is the business of the one who calls.</summary>
    /// <returns>The open file.</returns>
#pragma warning disable CA1822 // An open() is an operation of the device, though this one needs nothing of it.
    public ProvisionFile Open() => new();
#pragma warning restore CA1822
}

/// <summary>
/// An opener of the provisioning device: a proof to show to SGX_IOC_ENCLAVE_PROVISION, good for nothing else. Every ioctl on
/// it is ENOTTY.
/// </summary>
public sealed class ProvisionFile
{
    internal ProvisionFile()
    {
    }
}
