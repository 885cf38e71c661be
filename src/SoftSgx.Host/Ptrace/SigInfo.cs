using System.Runtime.InteropServices;

namespace SoftSgx.Host.Ptrace;

/// <summary>What a signal says of itself.</summary>
/// <remarks><c>siginfo_t</c>, asm-generic/siginfo.h: 128 bytes; the fields after <c>si_code</c> depend on the signal.</remarks>
[StructLayout(LayoutKind.Explicit, Size = 128)]
internal struct SigInfo
{
    [FieldOffset(0)] internal int Signal;
    [FieldOffset(4)] internal int Errno;
    [FieldOffset(8)] internal int Code;

    /// <summary>Of a signal sent by a process: who sent it; of a child's change of state: the child.</summary>
    [FieldOffset(16)] internal int SenderPid;

    /// <summary>Of a fault: the address.</summary>
    [FieldOffset(16)] internal ulong Address;

    /// <summary>Of a child's change of state: its exit status, or the signal and event that stopped it.</summary>
    [FieldOffset(24)] internal int ChildStatus;

    /// <summary>Of a perf event's SIGTRAP (TRAP_PERF): <c>si_perf_type</c>, the kind of event.</summary>
    [FieldOffset(32)] internal uint PerfType;

    /// <summary>
    /// A breakpoint register matched that the program set by perf_event_open(2): an exception, #DB, but a signal that the kernel sends
    /// and does not force.
    /// </summary>
    internal readonly bool IsPerfBreakpoint => IsPerf && PerfType == Interop.Native.PERF_TYPE_BREAKPOINT;

    private readonly bool IsPerf => Signal == Interop.Native.SIGTRAP && Code == Interop.Native.TRAP_PERF;

    /// <summary>
    /// True when the processor raised it on the thread's own instruction (<c>si_code</c> above zero is the kernel's own), false
    /// when somebody sent it.
    /// </summary>
    internal readonly bool IsSynchronousFault =>
        Code > 0 && !IsPerf
        && Signal is Interop.Native.SIGILL or Interop.Native.SIGTRAP or Interop.Native.SIGBUS or Interop.Native.SIGFPE or Interop.Native.SIGSEGV;
}
