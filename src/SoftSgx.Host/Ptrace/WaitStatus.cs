namespace SoftSgx.Host.Ptrace;

/// <summary>A status word of wait4(2), decoded as sys/wait.h and ptrace(2) say.</summary>
internal readonly record struct WaitStatus(int Value)
{
    internal bool Exited => (Value & 0x7f) == 0;
    internal int ExitCode => (Value >> 8) & 0xff;
    internal bool Signaled => ((sbyte)((Value & 0x7f) + 1) >> 1) > 0;
    internal int TerminatingSignal => Value & 0x7f;
    internal bool CoreDumped => (Value & 0x80) != 0;
    internal bool Stopped => (Value & 0xff) == 0x7f;
    internal int StopSignal => (Value >> 8) & 0xff;

    /// <summary>The PTRACE_EVENT_* number, zero for a plain signal or system-call stop.</summary>
    internal int Event => (Value >> 16) & 0xffff;

    /// <summary>A system-call stop, told apart by PTRACE_O_TRACESYSGOOD.</summary>
    internal bool IsSyscallStop => Stopped && Event == 0 && StopSignal == (Interop.Native.SIGTRAP | 0x80);
}
