using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// What the processor keeps in the reserved end of a SECS, so that it travels with the page: EID, product
/// identities, context.
/// SDM vol. 3D, "SGX enclave control structure (SECS)" (implementation-specific fields).
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct SecsPrivate
{
    /// <summary>Offset in bytes from the start of the SECS.</summary>
    public const int Offset = 3072;

    /// <summary>EID: identifies the enclave to paging.</summary>
    public ulong Eid;

    /// <summary>ISVFAMILYID, from SIGSTRUCT.</summary>
    public Bytes16 IsvFamilyId;

    /// <summary>ISVEXTPRODID, from SIGSTRUCT.</summary>
    public Bytes16 IsvExtProdId;

    /// <summary>ENCLAVECONTEXT: what ERDINFO tells of the enclave; physical address of the SECS.</summary>
    public ulong EnclaveContext;
}
