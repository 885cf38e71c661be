using System.Runtime.InteropServices;

namespace SoftSgx.Kernel;

/// <summary>
/// The argument of SGX_IOC_ENCLAVE_CREATE.
/// Defined as struct sgx_enclave_create in arch/x86/include/uapi/asm/sgx.h.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct SgxEnclaveCreate
{
    /// <summary>Size in bytes.</summary>
    public const int Size = 8;

    /// <summary>Address of the SECS, one page, of any alignment.</summary>
    public ulong Src;
}
