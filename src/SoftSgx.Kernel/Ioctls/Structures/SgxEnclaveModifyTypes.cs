using System.Runtime.InteropServices;

namespace SoftSgx.Kernel;

/// <summary>
/// The argument of SGX_IOC_ENCLAVE_MODIFY_TYPES.
/// Defined as struct sgx_enclave_modify_types in arch/x86/include/uapi/asm/sgx.h.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct SgxEnclaveModifyTypes
{
    /// <summary>Size in bytes.</summary>
    public const int Size = 40;

    /// <summary>Offset of the first page from the enclave's base.</summary>
    public ulong Offset;

    /// <summary>Bytes of the range.</summary>
    public ulong Length;

    /// <summary>The new page type.</summary>
    public ulong PageType;

    /// <summary>Out: SGX error code of EMODT.</summary>
    public ulong Result;

    /// <summary>Out: bytes changed.</summary>
    public ulong Count;
}
