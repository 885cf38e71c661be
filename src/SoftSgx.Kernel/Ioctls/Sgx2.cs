namespace SoftSgx.Kernel;

/// <summary>What the ioctls of SGX2 ask first (sgx_ioc_sgx2_ready in arch/x86/kernel/cpu/sgx/ioctl.c).</summary>
internal static class Sgx2
{
    /// <summary>ENOTTY: the enclave is built by v22's ADD_PAGE, and v22 has no such ioctl. ENODEV: the processor has no SGX2. EINVAL: the enclave is not initialised.</summary>
    public static Errno Ready(Enclave enclave)
        => enclave.IsBuiltByAddPage ? Errno.ENOTTY
            : !enclave.Subsystem.Processor.Configuration.Sgx2 ? Errno.ENODEV
            : !enclave.IsInitialized ? Errno.EINVAL
            : Errno.None;
}
