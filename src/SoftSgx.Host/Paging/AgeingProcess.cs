using System.Diagnostics;
using SoftSgx.Host.Interop;
using SoftSgx.Host.Ptrace;
using SoftSgx.Host.Supervision;
using SoftSgx.Host.Vdso;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Paging;

/// <summary>A process that shares a program's address space and works on its page tables when told to.</summary>
/// <remarks>
/// <para>
/// No interface shows the processor's Accessed bits page by page. But an entry that is dropped (MADV_DONTNEED on a shared mapping keeps
/// the page) comes back only by an access. Dropping works from inside the address space alone, and so does changing a protection
/// while the program's threads run.
/// </para>
/// <para>
/// The process is a child of the supervisor and traced by it, so the program cannot wait for it, and it dies with the supervisor.
/// It blocks all signals; those that cannot be blocked are suppressed, except SIGKILL. Started and ended by the tracer; commanded by
/// whoever ages pages.
/// </para>
/// </remarks>
internal sealed class AgeingProcess
{
    /// <summary>After so long a look shows whether the process is at work, or waits for a processor: then it gets more time.</summary>
    private const int DropMilliseconds = 100;

    /// <summary>The same for protections, on which more depends than the choice of a page.</summary>
    private const int ProtectMilliseconds = 10_000;

    /// <summary>Longest time that dropping entries may take.</summary>
    private const int LongestMilliseconds = 2_000;

    private readonly AgeingPage _page;
    private readonly Lock _gate = new();
    private volatile bool _isDead;
    private int _processor = -1;

    private AgeingProcess(int tid, AgeingPage page)
    {
        Tid = tid;
        _page = page;
    }

    /// <summary>Its id here.</summary>
    internal int Tid { get; }

    /// <summary>False once commands are pointless.</summary>
    internal bool IsAlive => !_isDead;

    /// <summary>Starts one in a thread's address space; null if that fails.</summary>
    /// <param name="thread">A thread that is at a place where it can make calls.</param>
    /// <param name="calls">Its calls.</param>
    /// <param name="code">Address of the code, see <see cref="VdsoPaging"/>.</param>
    /// <param name="page">The page shared with the address space.</param>
    internal static AgeingProcess? Start(TracedThread thread, in InjectedCalls calls, ulong code, AgeingPage page)
    {
        thread.InjectedChild = 0;
        long first = calls.Call(SYS_clone, CLONE_VM | CLONE_FILES);
        int firstTid = thread.InjectedChild;
        if (first <= 0 || firstTid == 0)
        {
            return null;
        }
        // The orphan that the first process leaves becomes ours instead of init's, and init need not be one that reaps.
        Subreaper.Begin();
        int second = RunFirst(firstTid, code, page.Address);
        Subreaper.End();
        _ = calls.Call(SYS_wait4, (ulong)first, 0, __WALL, 0);
        if (second == 0 || PtraceCalls.Wait(second, out WaitStatus status) < 0 || !status.Stopped)
        {
            return null;
        }
        _ = PtraceCalls.Cont(second, 0);
        return new AgeingProcess(second, page);
    }

    /// <summary>Drops the page table entries of ranges; false if that did not happen (in time): nothing is known then.</summary>
    /// <param name="count">As many of the page's ranges, filled in by the caller under <see cref="Enter"/>.</param>
    internal bool Drop(int count) => Execute(count, 0, DropMilliseconds);

    /// <summary>Gives ranges their protections; false if that did not happen (in time).</summary>
    /// <param name="count">
    /// As many of the page's ranges, made by <see cref="AddressRange.Protected"/> and filled in by the caller under <see cref="Enter"/>.
    /// </param>
    internal bool Protect(int count) => Execute(count, AgeingPage.Protect, ProtectMilliseconds);

    private bool Execute(int count, uint operation, int milliseconds)
    {
        if (_isDead)
        {
            return false;
        }
        // It works while the caller waits: on the same processor that is a switch, and no interrupt to a sleeping one.
        int processor = Libc.SchedGetCpu();
        if (processor != _processor && processor >= 0)
        {
            _processor = processor;
            _ = ProcessorFollower.Pin(Tid, processor);
        }
        _page.RangeCount = (uint)count;
        _page.OperationWord = operation;
        uint number = _page.CommandWord + 1;
        Volatile.Write(ref _page.CommandWord, number);
        _page.WakeProcess();
        long start = Stopwatch.GetTimestamp();
        uint done;
        while ((done = Volatile.Read(ref _page.DoneWord)) != number)
        {
            double elapsed = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
            if (_isDead || (elapsed >= milliseconds && (elapsed >= LongestMilliseconds || !ProcStatus.IsRunnable(Tid))
                && Volatile.Read(ref _page.DoneWord) != number))
            {
                _isDead = true; // stopped, or its page is gone: no age is better than a wait for each batch
                return false;
            }
            _page.WaitDone(done, DropMilliseconds * 1_000_000L);
        }
        return true;
    }

    /// <summary>The ranges of the next command, under <see cref="Enter"/>.</summary>
    internal Span<AddressRange> Ranges => _page.RangeSpan;

    /// <summary>Gives the caller the page's ranges for itself until the scope is disposed. They are there if the process is alive then.</summary>
    internal Lock.Scope Enter() => _gate.EnterScope();

    /// <summary>Something happened to the process. By the tracer.</summary>
    internal void OnStatus(WaitStatus status)
    {
        if (!status.Stopped)
        {
            MarkDead();
        }
        else if (status.Event == 0 && !status.IsSyscallStop && status.StopSignal is SIGILL or SIGBUS or SIGSEGV or SIGTRAP)
        {
            _ = Libc.Kill(Tid, SIGKILL); // the program took its code or its page away
        }
        else
        {
            _ = PtraceCalls.Cont(Tid, 0);
        }
    }

    /// <summary>Ends it and reaps it. By the tracer, once nobody commands it any more or soon will not.</summary>
    internal void End()
    {
        MarkDead();
        _ = Libc.Kill(Tid, SIGKILL);
        while (PtraceCalls.Wait(Tid, out WaitStatus status) > 0 && status.Stopped)
        {
            // A stop that it had reached before: its end follows.
        }
        using (_gate.EnterScope())
        {
            // Nobody is in the page now.
        }
    }

    private void MarkDead()
    {
        _isDead = true;
        Volatile.Write(ref _page.DoneWord, _page.DoneWord - 1); // whoever waits sees another value, even if he has not begun to
        _page.WakeWaiter();
    }

    private static int RunFirst(int tid, ulong code, ulong page)
    {
        int second = 0;
        bool isStarted = false;
        while (PtraceCalls.Wait(tid, out WaitStatus status) > 0 && status.Stopped)
        {
            if (!isStarted && PtraceCalls.GetRegs(tid, out UserRegs regs))
            {
                (regs.Rip, regs.R15, regs.OrigRax) = (code, page, ulong.MaxValue);
                _ = PtraceCalls.SetSigMask(tid, ulong.MaxValue);
                _ = PtraceCalls.SetRegs(tid, regs);
                isStarted = true;
            }
            else if (status.Event == PTRACE_EVENT_CLONE && PtraceCalls.GetEventMessage(tid, out ulong message))
            {
                second = (int)message;
            }
            _ = PtraceCalls.Cont(tid, 0);
        }
        return second;
    }
}
