namespace SoftSgx.Kernel;

/// <summary>What the ioctls of SGX2 ask first (sgx_ioc_sgx2_ready in arch/x86/kernel/cpu/sgx/ioctl.c).</summary>
internal static class Sgx2
{
    /// <summary>ENODEV: the processor has no SGX2. EINVAL: the enclave is not initialised.</summary>
    public static Errno Ready(Enclave enclave)
        => !enclave.Subsystem.Processor.Configuration.Sgx2 ? Errno.ENODEV
            : !enclave.IsInitialized ? Errno.EINVAL
            : Errno.None;
}
