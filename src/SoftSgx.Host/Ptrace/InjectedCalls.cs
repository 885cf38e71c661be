using SoftSgx.Host.Interop;
using SoftSgx.Host.Supervision;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Ptrace;

/// <summary>System calls that a stopped thread makes on our behalf.</summary>
/// <remarks>
/// Allowed at a system call's end, at a signal stop whose signal will be suppressed, and at the first stop of a new thread. All
/// signals are blocked meanwhile, so that none interrupts and loses its siginfo; a stop signal, which cannot be blocked, is held
/// back. Registers and mask are put back by <see cref="Dispose"/>.
/// </remarks>
internal ref struct InjectedCalls
{
    private readonly TracedThread _thread;
    private readonly ulong _gadget;
    private readonly ulong _mask;

    /// <summary>The registers that the thread goes on with; change them to change what it sees.</summary>
    internal UserRegs Registers;

    private InjectedCalls(TracedThread thread, ulong gadget, in UserRegs registers, ulong mask)
    {
        _thread = thread;
        _gadget = gadget;
        _mask = mask;
        Registers = registers;
    }

    /// <summary>False once the thread is gone.</summary>
    internal readonly bool IsAlive => _thread.Ended is null;

    /// <summary>Begins; <paramref name="gadget"/> is the address of a <c>syscall</c> instruction in the thread's memory.</summary>
    internal static InjectedCalls Begin(TracedThread thread, ulong gadget, in UserRegs registers)
    {
        ulong mask = 0;
        if (!PtraceCalls.GetSigMask(thread.Tid, out mask) || !PtraceCalls.SetSigMask(thread.Tid, ulong.MaxValue))
        {
            // Gone already; every call will fail in the same way, and the wait loop sees the end.
            mask = 0;
        }
        return new InjectedCalls(thread, gadget, registers, mask);
    }

    /// <summary>Makes one call; its result (minus errno on failure), or -ESRCH if the thread is gone.</summary>
    internal readonly long Call(int number, ulong a0 = 0, ulong a1 = 0, ulong a2 = 0, ulong a3 = 0, ulong a4 = 0, ulong a5 = 0)
    {
        if (!IsAlive)
        {
            return -ESRCH;
        }
        UserRegs regs = Registers;
        (regs.Rax, regs.Rdi, regs.Rsi, regs.Rdx, regs.R10, regs.R8, regs.R9) = ((ulong)number, a0, a1, a2, a3, a4, a5);
        regs.Rip = _gadget;
        regs.OrigRax = ulong.MaxValue; // no call is under way that the kernel could want to restart
        int tid = _thread.Tid;
        if (!PtraceCalls.SetRegs(tid, regs))
        {
            return -ESRCH;
        }
        for (int syscallStops = 0; syscallStops < 2;)
        {
            // After a failure to resume (SIGKILL came first) the end is what there is to wait for.
            _ = PtraceCalls.ContToSyscall(tid);
            if (PtraceCalls.Wait(tid, out WaitStatus status) < 0)
            {
                _thread.Ended = new WaitStatus(SIGKILL); // an exec in another thread took it away unseen
                return -ESRCH;
            }
            if (status.Exited || status.Signaled)
            {
                _thread.Ended = status;
                return -ESRCH;
            }
            if (status.IsSyscallStop)
            {
                syscallStops++;
            }
            else if (status.Event == PTRACE_EVENT_CLONE)
            {
                _ = PtraceCalls.GetEventMessage(tid, out ulong child);
                _thread.InjectedChild = (int)child;
            }
            else if (status.Event == 0 && status.StopSignal != SIGTRAP)
            {
                _thread.HeldSignal = status.StopSignal;
            }
        }
        return PtraceCalls.GetRegs(tid, out UserRegs after) ? (long)after.Rax : -ESRCH;
    }

    /// <summary>Puts registers and signal mask back.</summary>
    internal readonly void Dispose()
    {
        if (IsAlive)
        {
            _ = PtraceCalls.SetRegs(_thread.Tid, Registers);
            _ = PtraceCalls.SetSigMask(_thread.Tid, _mask);
            if (_thread.HeldSignal != 0)
            {
                _ = Libc.Syscall(SYS_tkill, _thread.Tid, _thread.HeldSignal);
                _thread.HeldSignal = 0;
            }
        }
    }
}
