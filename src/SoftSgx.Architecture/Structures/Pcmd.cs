using System.Runtime.InteropServices;

namespace SoftSgx.Architecture;

/// <summary>
/// PCMD: what goes with an evicted page, 128 bytes, aligned to 128.
/// SDM vol. 3D, "Paging crypto metadata (PCMD)".
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct Pcmd
{
    /// <summary>Size in bytes.</summary>
    public const int Size = 128;

    /// <summary>Offset 0, SECINFO of the page.</summary>
    public SecInfo SecInfo;

    /// <summary>Offset 64, ENCLAVEID of the page's enclave.</summary>
    public ulong EnclaveId;

    /// <summary>Offset 72: must be zero.</summary>
    public Reserved40 Reserved;

    /// <summary>Offset 112, MAC over page, metadata and version.</summary>
    public Key128 Mac;
}
