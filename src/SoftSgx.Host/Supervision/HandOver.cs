using SoftSgx.Host.Interop;
using SoftSgx.Host.Memory;
using SoftSgx.Host.Ptrace;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Supervision;

/// <summary>A process that is on its way from one tracer to another, by its only thread.</summary>
/// <remarks>
/// <para>
/// Between PTRACE_DETACH and PTRACE_SEIZE nobody would see what the thread does. So meanwhile it does nothing: it executes a loop of our
/// vDSO image, with all signals blocked. Then it goes on where it was; a system call at which it was stopped is made once more.
/// A stop (SIGSTOP) or the end may come in between, and neither is lost.
/// </para>
/// <para>
/// A process of several threads cannot be handed over unseen: stopping the others would interrupt their system calls, and some of those
/// do not go on after it (signal(7)).
/// </para>
/// </remarks>
internal sealed class HandOver
{
    private static readonly bool s_mayTraceAll = ProcStatus.MayTraceAll;

    private readonly ProgramImage _image;
    private readonly TracedThread _thread;
    private readonly UserRegs _regs;
    private readonly TaskCompletionSource<bool> _isReleased = new();
    private ulong _mask;

    /// <summary>Of a thread that is to go on with these registers.</summary>
    internal HandOver(ProgramImage image, TracedThread thread, in UserRegs regs)
    {
        _image = image;
        _thread = thread;
        _regs = regs;
    }

    /// <summary>The registers with which a thread makes the system call once more before which it stopped with these.</summary>
    internal static UserRegs BeforeCall(UserRegs stopped)
    {
        const int CallLength = 2; // SYSCALL
        stopped.Rip -= CallLength;
        stopped.Rax = stopped.OrigRax;
        stopped.OrigRax = ulong.MaxValue;
        return stopped;
    }

    /// <summary>
    /// True if a process should go to a tracer of its own before it uses enclaves, and can: its tracer has another that does, its thread is alone
    /// in it, and the kernel will allow it, which asks the Yama module anew (its setting 1 allows descendants). A child of ours stays with its parent, whose waits it would end.
    /// </summary>
    internal static bool IsDue(TracedThread thread) =>
        thread is { Tracer: { EnclaveSpaces: > 0, IsLast: false }, Space: { Paging: null, Threads: 1, VdsoBase: not 0 } }
        && TraceeMemory.IsAccessible(thread.Tid) // the kernel asks the same for both
        && Generations(thread.Tid) is int generations && generations != 1
        && (s_mayTraceAll || ProcStatus.PtraceScope switch { 0 => true, 1 => generations != 0, _ => false });

    /// <summary>How many generations a process is younger than we are; 0 if it does not descend from us.</summary>
    private static int Generations(int pid)
    {
        const int Maximum = 100;
        int us = Libc.GetPid();
        for (int i = 1; i < Maximum && pid > 1; i++)
        {
            pid = ProcStatus.Parent(pid);
            if (pid == us)
            {
                return i;
            }
        }
        return 0;
    }

    /// <summary>By the new tracer: waits until the old one has let go; false if the thread had ended.</summary>
    internal bool IsReleased => _isReleased.Task.GetAwaiter().GetResult();

    /// <summary>By the old tracer: lets go. False if the thread has ended.</summary>
    internal bool Release()
    {
        bool isReleased = Detach();
        _isReleased.SetResult(isReleased);
        return isReleased;
    }

    private bool Detach()
    {
        int tid = _thread.Tid;
        UserRegs waiting = _regs;
        waiting.OrigRax = ulong.MaxValue; // the call is not made now
        waiting.Rip = _thread.Space.VdsoBase + (ulong)_image.Vdso.WaitOffset;
        if (!PtraceCalls.GetSigMask(tid, out _mask) || !PtraceCalls.SetSigMask(tid, ulong.MaxValue) || !PtraceCalls.SetRegs(tid, waiting))
        {
            return false;
        }
        Subreaper.Begin(); // it may become an orphan, and is to stay a descendant for Yama's sake
        bool isReleased = PtraceCalls.Detach(tid);
        if (!isReleased)
        {
            Subreaper.End();
        }
        return isReleased;
    }

    /// <summary>By the new tracer: takes the thread. The status of its stop, or of its end.</summary>
    internal WaitStatus Take()
    {
        int tid = _thread.Tid;
        int errno = PtraceCalls.Seize(tid);
        Subreaper.End();
        if (errno != 0 || !PtraceCalls.Interrupt(tid) || PtraceCalls.Wait(tid, out WaitStatus status) < 0)
        {
            _ = Libc.Kill(tid, SIGKILL); // it has been killed already, or may not run unseen
            return new WaitStatus(SIGKILL);
        }
        if (status.Stopped)
        {
            _ = PtraceCalls.SetRegs(tid, _regs) && PtraceCalls.SetSigMask(tid, _mask);
        }
        return status;
    }
}
