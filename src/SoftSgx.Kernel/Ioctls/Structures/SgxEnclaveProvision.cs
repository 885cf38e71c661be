using System.Runtime.InteropServices;

namespace SoftSgx.Kernel;

/// <summary>
/// The argument of SGX_IOC_ENCLAVE_PROVISION, and of SGX_IOC_ENCLAVE_SET_ATTRIBUTE of <see cref="DeviceAbi.V22"/>.
/// Defined as struct sgx_enclave_provision in arch/x86/include/uapi/asm/sgx.h.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct SgxEnclaveProvision
{
    /// <summary>Size in bytes.</summary>
    public const int Size = 8;

    /// <summary>A descriptor of the provisioning device. Only the low 32 bits count.</summary>
    public ulong Fd;
}
