using SoftSgx.Architecture;

namespace SoftSgx.Kernel;

/// <summary>
/// SGX_IOC_ENCLAVE_PROVISION: lets the enclave have the PROVISIONKEY attribute, on proof that the caller could open the
/// provisioning device.
/// Behaviour: sgx_ioc_enclave_provision in arch/x86/kernel/cpu/sgx/ioctl.c; SGX_IOC_ENCLAVE_SET_ATTRIBUTE of v22 is the same.
/// </summary>
/// <remarks>
/// EFAULT: the argument cannot be read. EINVAL: the descriptor is not the provisioning device. It succeeds in any state, but
/// CREATE forgets it (not with <see cref="DeviceAbi.V22"/>), so it has to follow CREATE.
/// </remarks>
internal static class Provision
{
    /// <summary>Executes the ioctl.</summary>
    public static Errno Execute(Enclave enclave, ulong argument, IoctlCall call)
    {
        if (!call.Memory.TryReadStruct(argument, out SgxEnclaveProvision provision))
        {
            return Errno.EFAULT;
        }

        // The kernel takes the descriptor as an unsigned int, so the upper half is lost without a check.
        if (!call.Files.IsProvisionDevice(unchecked((int)(uint)provision.Fd)))
        {
            return Errno.EINVAL;
        }

        enclave.Allow(AttributeFlags.PROVISIONKEY);
        return Errno.None;
    }
}
