using System.Runtime.InteropServices;

namespace SoftSgx.Architecture;

/// <summary>
/// PAGEINFO: operands of the leaves that put pages into the EPC, 32 bytes, aligned to 32.
/// SDM vol. 3D, "Page information (PAGEINFO)".
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct PageInfo
{
    /// <summary>Size in bytes.</summary>
    public const int Size = 32;

    /// <summary>Offset 0: enclave linear address.</summary>
    public ulong LinAddr;

    /// <summary>Offset 8: effective address of the source page.</summary>
    public ulong SrcPge;

    /// <summary>Offset 16: effective address of the SECINFO, or of the PCMD for paging leaves.</summary>
    public ulong SecInfo;

    /// <summary>Offset 24: effective address of the SECS's EPC page.</summary>
    public ulong Secs;
}
