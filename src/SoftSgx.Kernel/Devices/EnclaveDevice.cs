namespace SoftSgx.Kernel;

/// <summary>
/// The enclave device, <c>/dev/sgx_enclave</c>: every open() of it is one enclave.
/// Behaviour: sgx_open in arch/x86/kernel/cpu/sgx/driver.c.
/// </summary>
public sealed class EnclaveDevice
{
    private readonly SgxSubsystem _subsystem;

    internal EnclaveDevice(SgxSubsystem subsystem) => _subsystem = subsystem;

    /// <summary>
    /// The device exists. Linux offers none to a processor without SGX1 or whose launch-control registers cannot be written.
    /// </summary>
    public bool IsPresent => LaunchControl.WhyNoDevice(_subsystem.Processor.Configuration) is null;

    /// <summary>Opens the device.</summary>
    /// <param name="inode">The inode that holds the enclave's REG pages; the enclave disposes of it.</param>
    /// <param name="abi">Which interface the opener expects, by the path that it opened.</param>
    /// <returns>An enclave that nothing is known of yet. Whoever opened it calls <see cref="Enclave.Release"/> once.</returns>
    /// <exception cref="InvalidOperationException">There is no such device, which a host should have said as ENOENT.</exception>
    public Enclave Open(IEnclaveInode inode, DeviceAbi abi)
    {
        ArgumentNullException.ThrowIfNull(inode);
        return IsPresent
            ? new Enclave(_subsystem, inode, abi)
            : throw new InvalidOperationException("This processor has no enclave device.");
    }
}
