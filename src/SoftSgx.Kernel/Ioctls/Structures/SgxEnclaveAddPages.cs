using System.Runtime.InteropServices;

namespace SoftSgx.Kernel;

/// <summary>
/// The argument of SGX_IOC_ENCLAVE_ADD_PAGES.
/// Defined as struct sgx_enclave_add_pages in arch/x86/include/uapi/asm/sgx.h.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct SgxEnclaveAddPages
{
    /// <summary>Size in bytes.</summary>
    public const int Size = 48;

    /// <summary><see cref="Flags"/>: measure the contents (SGX_PAGE_MEASURE).</summary>
    public const ulong SGX_PAGE_MEASURE = 1;

    /// <summary>Address of the first page's contents, a multiple of 4096.</summary>
    public ulong Src;

    /// <summary>Offset of the first page from the enclave's base, a multiple of 4096.</summary>
    public ulong Offset;

    /// <summary>Bytes to add, a multiple of 4096, not 0.</summary>
    public ulong Length;

    /// <summary>Address of the SECINFO that holds for all pages, of any alignment.</summary>
    public ulong SecInfo;

    /// <summary>Bit 0: <see cref="SGX_PAGE_MEASURE"/>. Others are ignored.</summary>
    public ulong Flags;

    /// <summary>Out: bytes added.</summary>
    public ulong Count;
}
