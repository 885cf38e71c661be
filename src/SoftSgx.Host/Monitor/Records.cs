using System.Runtime.InteropServices;

namespace SoftSgx.Host.Monitor;

/// <summary>What the monitor keeps of a thread. The program can change it at any time; that harms the program.</summary>
[StructLayout(LayoutKind.Explicit, Size = MonitorLayout.RecordSize)]
internal struct ThreadRecord
{
    /// <summary>The AEP of the entry under way.</summary>
    [FieldOffset(AtAep)] internal ulong Aep;

    /// <summary>Registers that the monitor uses, while it does.</summary>
    [FieldOffset(AtRdx)] internal ulong Rdx;
    [FieldOffset(AtRsi)] internal ulong Rsi;

    /// <summary>Bases of FS and GS outside, while the thread is on its way in, or inside.</summary>
    [FieldOffset(AtHostFs)] internal ulong HostFs;
    [FieldOffset(AtHostGs)] internal ulong HostGs;

    /// <summary>RSP and TCS with which the thread may resume, while <see cref="Tcs"/> is <see cref="Interrupted"/>.</summary>
    [FieldOffset(AtReturnRsp)] internal ulong ReturnRsp;
    [FieldOffset(AtReturnTcs)] internal ulong ReturnTcs;

    /// <summary>Address of the record of the site that the thread came by.</summary>
    [FieldOffset(AtSite)] internal ulong Site;

    /// <summary>
    /// Address of the record of the TCS by which the thread is inside; 0 outside. If the supervisor knows better: <see cref="Occupied"/>,
    /// <see cref="Interrupted"/>, <see cref="Refused"/>.
    /// </summary>
    [FieldOffset(AtTcs)] internal ulong Tcs;

    /// <summary>AH and AL of LAHF and SETO.</summary>
    [FieldOffset(AtFlags)] internal ushort Flags;

    /// <summary>The zero flag as LAHF would show it, which looking for this record destroyed.</summary>
    [FieldOffset(AtZero)] internal byte Zero;

    /// <summary>The leaf by which the thread is inside, or on its way in.</summary>
    [FieldOffset(AtEntered)] internal byte Entered;

    /// <summary>RCX at a site; on the last steps of ERESUME, RCX inside.</summary>
    [FieldOffset(AtRcx)] internal ulong Rcx;

    /// <summary>Registers that a call to the supervisor uses, and the leaf that it is for.</summary>
    [FieldOffset(AtR10)] internal ulong R10;
    [FieldOffset(AtR11)] internal ulong R11;

    /// <summary>RIP and RFLAGS that ERESUME loads, while it does.</summary>
    [FieldOffset(AtTarget)] internal ulong Target;
    [FieldOffset(AtImage)] internal ulong Image;

    /// <summary>The leaf that a site was reached with.</summary>
    [FieldOffset(AtLeaf)] internal ulong Leaf;

    /// <summary>Entries through the vDSO and by patched sites, exits by patched sites, since the record was taken into use.</summary>
    [FieldOffset(AtEntriesByVdso)] internal ulong EntriesByVdso;
    [FieldOffset(AtEntriesBySite)] internal ulong EntriesBySite;
    [FieldOffset(AtExits)] internal ulong Exits;

    /// <summary>Address of the landing.</summary>
    [FieldOffset(AtLanding)] internal ulong Landing;

    internal const int
        AtAep = 0, AtRdx = 8, AtRsi = 16, AtHostFs = 24, AtHostGs = 32, AtSite = 40, AtTcs = 48, AtFlags = 56, AtZero = 58, AtEntered = 59, AtRcx = 64,
        AtR10 = 72, AtR11 = 80, AtEntriesByVdso = 88, AtEntriesBySite = 96, AtExits = 104, AtLanding = 112, AtLeaf = 120,
        AtReturnRsp = AtHostFs, AtReturnTcs = AtHostGs, AtTarget = AtR10, AtImage = AtR11;

    /// <summary>Value of <see cref="Tcs"/> while the supervisor's model has the thread inside.</summary>
    internal const ulong Occupied = 1;

    /// <summary>
    /// Value of <see cref="Tcs"/> after an asynchronous exit with a signal: the thread may resume what was interrupted, when it is back where the
    /// signal found it, but not enter anything else.
    /// </summary>
    internal const ulong Interrupted = 2;

    /// <summary>Value of <see cref="Tcs"/> of a thread from which the TCS was taken back while it was on its way in.</summary>
    internal const ulong Refused = 3;
}

/// <summary>What the monitor keeps of a TCS by which threads may enter without the supervisor.</summary>
[StructLayout(LayoutKind.Explicit, Size = MonitorLayout.RecordSize)]
internal struct TcsRecord
{
    /// <summary>Linear address of the TCS; 0 in a record that is free.</summary>
    [FieldOffset(AtKey)] internal ulong Key;

    /// <summary>
    /// <see cref="Withheld"/>: entries go to the supervisor. <see cref="Ready"/>: a thread may take it. Otherwise the address of the
    /// record of the thread that is inside.
    /// </summary>
    [FieldOffset(AtState)] internal ulong State;

    /// <summary>Address of GPRSGX of the SSA frame that an exit would use after an EENTER; 0 if EENTER is the supervisor's.</summary>
    [FieldOffset(AtGpr)] internal ulong Gpr;

    /// <summary>Bases of FS and GS inside.</summary>
    [FieldOffset(AtFsBase)] internal ulong FsBase;
    [FieldOffset(AtGsBase)] internal ulong GsBase;

    /// <summary>The entry point.</summary>
    [FieldOffset(AtEntry)] internal ulong Entry;

    /// <summary>What EENTER leaves in RAX.</summary>
    [FieldOffset(AtCssa)] internal uint Cssa;

    /// <summary>What ERESUME makes of <see cref="Cssa"/> and of <see cref="Gpr"/>: 0 if the next EENTER is the supervisor's, which has not looked at it.</summary>
    [FieldOffset(AtResumedCssa)] internal uint ResumedCssa;
    [FieldOffset(AtResumedGpr)] internal ulong ResumedGpr;

    /// <summary>Address of GPRSGX of the SSA frame that ERESUME loads; 0 if ERESUME is the supervisor's.</summary>
    [FieldOffset(AtResume)] internal ulong Resume;

    /// <summary>Address of the XSAVE area of that frame, what ERESUME loads of it, and the rest.</summary>
    [FieldOffset(AtXsave)] internal ulong Xsave;
    [FieldOffset(AtXfrm)] internal ulong Xfrm;
    [FieldOffset(AtNotXfrm)] internal ulong NotXfrm;

    internal const int AtKey = 0, AtState = 8, AtGpr = 16, AtFsBase = 24, AtGsBase = 32, AtEntry = 40, AtCssa = 48, AtResumedCssa = 52,
        AtResume = 56, AtXsave = 64, AtXfrm = 72, AtNotXfrm = 80, AtResumedGpr = 88;

    internal const ulong Withheld = 0, Ready = 1;
}

/// <summary>What a site tells the monitor; its code follows.</summary>
[StructLayout(LayoutKind.Explicit, Size = Bytes)]
internal struct SiteRecord
{
    /// <summary>What EENTER leaves in RCX: the address behind the ENCLU.</summary>
    [FieldOffset(AtReturn)] internal ulong Return;

    /// <summary>Offset in the thread's record of the counter of entries.</summary>
    [FieldOffset(AtEntryCounter)] internal ulong EntryCounter;

    internal const int AtReturn = 0, AtEntryCounter = 8, Bytes = 16;
}
