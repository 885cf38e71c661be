using System.Runtime.InteropServices;

namespace SoftSgx.Architecture;

/// <summary>
/// GPRSGX: general registers in an SSA frame, 184 bytes at the frame's very end.
/// SDM vol. 3D, "GPRSGX region".
/// </summary>
/// <remarks>
/// <code>
/// SSA frame of SSAFRAMESIZE pages:
///
/// | XSAVE area by XFRM | padding | MISC region: EXINFO (16) | GPRSGX (184) |
/// ^ frame              ^ frame + XSAVE size                                ^ frame + 4096 × SSAFRAMESIZE
/// </code>
/// </remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct GprSgx
{
    /// <summary>Size in bytes.</summary>
    public const int Size = 184;

    /// <summary>Offset 0.</summary>
    public ulong Rax;

    /// <summary>Offset 8.</summary>
    public ulong Rcx;

    /// <summary>Offset 16.</summary>
    public ulong Rdx;

    /// <summary>Offset 24.</summary>
    public ulong Rbx;

    /// <summary>Offset 32.</summary>
    public ulong Rsp;

    /// <summary>Offset 40.</summary>
    public ulong Rbp;

    /// <summary>Offset 48.</summary>
    public ulong Rsi;

    /// <summary>Offset 56.</summary>
    public ulong Rdi;

    /// <summary>Offset 64.</summary>
    public ulong R8;

    /// <summary>Offset 72.</summary>
    public ulong R9;

    /// <summary>Offset 80.</summary>
    public ulong R10;

    /// <summary>Offset 88.</summary>
    public ulong R11;

    /// <summary>Offset 96.</summary>
    public ulong R12;

    /// <summary>Offset 104.</summary>
    public ulong R13;

    /// <summary>Offset 112.</summary>
    public ulong R14;

    /// <summary>Offset 120.</summary>
    public ulong R15;

    /// <summary>Offset 128.</summary>
    public ulong Rflags;

    /// <summary>Offset 136.</summary>
    public ulong Rip;

    /// <summary>Offset 144, URSP: RSP outside, kept at EENTER and ERESUME.</summary>
    public ulong URsp;

    /// <summary>Offset 152, URBP: RBP outside, kept at EENTER and ERESUME.</summary>
    public ulong URbp;

    /// <summary>Offset 160, EXITINFO.</summary>
    public ExitInfo ExitInfo;

    /// <summary>Offset 164.</summary>
    public Reserved3 Reserved;

    /// <summary>Bit 0 of <see cref="AexNotify"/>.</summary>
    public const byte AexNotifyEnabled = 1;

    /// <summary>Offset 167, AEXNOTIFY: bit 0 asks ERESUME to enter at the entry point instead.</summary>
    public byte AexNotify;

    /// <summary>Offset 168.</summary>
    public ulong FsBase;

    /// <summary>Offset 176.</summary>
    public ulong GsBase;
}
