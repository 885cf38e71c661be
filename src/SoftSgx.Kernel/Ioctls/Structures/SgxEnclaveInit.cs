using System.Runtime.InteropServices;

namespace SoftSgx.Kernel;

/// <summary>
/// The argument of SGX_IOC_ENCLAVE_INIT.
/// Defined as struct sgx_enclave_init in arch/x86/include/uapi/asm/sgx.h.
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct SgxEnclaveInit
{
    /// <summary>Size in bytes.</summary>
    public const int Size = 8;

    /// <summary>Address of the SIGSTRUCT, 1808 bytes, of any alignment.</summary>
    public ulong SigStruct;
}
