using SoftSgx.Host.Signals;

namespace SoftSgx.Host.Ptrace;

/// <summary>A thread that a signal stopped: what the kernel says of it, asked when it is needed, and once.</summary>
internal struct SignalStop
{
    private readonly int _tid;
    private bool _hasRegs, _hasInfo;

    internal SignalStop(int tid, int signal)
    {
        _tid = tid;
        Info.Signal = signal;
    }

    /// <summary>The registers, if <see cref="TryGetRegs"/> was true; whoever changes those of the thread changes these.</summary>
    internal UserRegs Regs;

    /// <summary>The signal; the rest if <see cref="TryGetInfo"/> was true.</summary>
    internal SigInfo Info;

    /// <summary>It is one of those by which the kernel reports what an instruction did; whether it does, its information tells.</summary>
    internal readonly bool MayBeFault => SignalDispositions.IsKept(Info.Signal);

    internal bool TryGetRegs() => _hasRegs || (_hasRegs = PtraceCalls.GetRegs(_tid, out Regs));

    internal bool TryGetInfo() => _hasInfo || (_hasInfo = PtraceCalls.GetSigInfo(_tid, out Info));
}
