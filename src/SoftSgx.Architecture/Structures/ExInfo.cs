using System.Runtime.InteropServices;

namespace SoftSgx.Architecture;

/// <summary>
/// EXINFO: address and error code of a page fault or general-protection fault, 16 bytes, just below GPRSGX in the SSA frame.
/// SDM vol. 3D, "EXINFO structure".
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct ExInfo
{
    /// <summary>Size in bytes.</summary>
    public const int Size = 16;

    /// <summary>Offset 0, MADDR: faulting linear address of a page fault; 0 for a general-protection fault.</summary>
    public ulong MAddr;

    /// <summary>Offset 8, ERRCD: error code, see <see cref="PageFaultError"/>.</summary>
    public uint ErrCd;

    /// <summary>Offset 12: zero.</summary>
    public Reserved4 Reserved;
}
