using System.Runtime.InteropServices;

namespace SoftSgx.Kernel;

/// <summary>
/// The argument of SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS.
/// Defined as struct sgx_enclave_restrict_permissions in arch/x86/include/uapi/asm/sgx.h.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct SgxEnclaveRestrictPermissions
{
    /// <summary>Size in bytes.</summary>
    public const int Size = 40;

    /// <summary>Offset of the first page from the enclave's base.</summary>
    public ulong Offset;

    /// <summary>Bytes of the range.</summary>
    public ulong Length;

    /// <summary>The new permissions, bits as in SECINFO.</summary>
    public ulong Permissions;

    /// <summary>Out: SGX error code of EMODPR.</summary>
    public ulong Result;

    /// <summary>Out: bytes changed.</summary>
    public ulong Count;
}
