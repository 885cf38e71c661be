using System.Runtime.InteropServices;

namespace SoftSgx.Kernel;

/// <summary>
/// The argument of SGX_IOC_ENCLAVE_REMOVE_PAGES.
/// Defined as struct sgx_enclave_remove_pages in arch/x86/include/uapi/asm/sgx.h.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct SgxEnclaveRemovePages
{
    /// <summary>Size in bytes.</summary>
    public const int Size = 24;

    /// <summary>Offset of the first page from the enclave's base.</summary>
    public ulong Offset;

    /// <summary>Bytes of the range.</summary>
    public ulong Length;

    /// <summary>Out: bytes removed.</summary>
    public ulong Count;
}
