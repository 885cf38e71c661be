using System.Runtime.InteropServices;

namespace SoftSgx.Architecture;

/// <summary>
/// TCS.FLAGS.
/// SDM vol. 3D, "TCS.FLAGS".
/// </summary>
[Flags]
public enum TcsFlags : ulong
{
    /// <summary>No flag.</summary>
    None = 0,

    /// <summary>Debug features are enabled while this thread is in the enclave; set by a debugger only.</summary>
    DBGOPTIN = 1UL << 0,

    /// <summary>Asynchronous-exit notification may be delivered to this thread.</summary>
    AEXNOTIFY = 1UL << 1,
}

/// <summary>
/// TCS: the control structure of a thread, one EPC page.
/// SDM vol. 3D, "Thread control structure (TCS)".
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct Tcs
{
    /// <summary>Size in bytes.</summary>
    public const int Size = 4096;

    /// <summary>Offset 0, STATE: the processor's; <see cref="Inactive"/> or <see cref="Active"/>.</summary>
    public ulong State;

    /// <summary>Offset 8, FLAGS.</summary>
    public TcsFlags Flags;

    /// <summary>Offset 16, OSSA: offset of the SSA stack from the enclave's base.</summary>
    public ulong OSsa;

    /// <summary>Offset 24, CSSA: index of the current SSA frame.</summary>
    public uint CSsa;

    /// <summary>Offset 28, NSSA: number of SSA frames.</summary>
    public uint NSsa;

    /// <summary>Offset 32, OENTRY: offset of the entry point from the enclave's base.</summary>
    public ulong OEntry;

    /// <summary>Offset 40, AEP: asynchronous exit pointer, kept from the entry on.</summary>
    public ulong Aep;

    /// <summary>Offset 48, OFSBASE: FS base as an offset from the enclave's base.</summary>
    public ulong OFsBase;

    /// <summary>Offset 56, OGSBASE: GS base as an offset from the enclave's base.</summary>
    public ulong OGsBase;

    /// <summary>Offset 64, FSLIMIT: used outside 64-bit mode.</summary>
    public uint FsLimit;

    /// <summary>Offset 68, GSLIMIT: used outside 64-bit mode.</summary>
    public uint GsLimit;

    /// <summary>Offset 72, OCETSSA: offset of the CET save area; must be zero without CET.</summary>
    public ulong OCetSsa;

    /// <summary>Offset 80, PREVSSP: must be zero without CET.</summary>
    public ulong PrevSsp;

    /// <summary>Offset 88: must be zero.</summary>
    public Reserved4008 Reserved;

    /// <summary>Value of <see cref="State"/> while no logical processor uses the TCS.</summary>
    public const ulong Inactive = 0;

    /// <summary>Value of <see cref="State"/> while a logical processor is inside the enclave by this TCS.</summary>
    public const ulong Active = 1;
}
