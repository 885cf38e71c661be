using System.Diagnostics;
using SoftSgx.Host.Interop;
using SoftSgx.Host.Signals;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Paging;

/// <summary>Verdicts on their way from the pager to the threads' tracers, which alone can raise a signal in a thread as the kernel would.</summary>
/// <remarks>
/// <para>
/// The thread waits inside the kernel, in its page fault. The tracer is woken by a signal, interrupts the thread, and finds it at the
/// access. It may have left it meanwhile: a signal took it elsewhere, another thread brought the page. A verdict says which stops
/// came before it, so one that a stop of its thread overtook is void; the thread then faults again if it still has to.
/// </para>
/// <para>
/// The tracer's wait cannot be told to watch anything but children, and a signal that comes just before it waits is lost on it. So
/// the pager repeats the signal as long as a verdict is left, but not more often than a tracer can take, or it would do nothing else.
/// </para>
/// <para>
/// A thread has one verdict at most. It may fault again and again before its tracer comes to it, and what counts is the last time.
/// </para>
/// </remarks>
internal sealed class FaultVerdicts
{
    /// <summary>While verdicts wait for a tracer, it is reminded of them this often.</summary>
    internal const int NudgeMilliseconds = 2;

    private readonly Lock _lock = new();
    private readonly List<FaultVerdict> _waiting = [];
    private readonly List<int> _woken = [];
    private readonly int _pid = Libc.GetPid();
    private long _lastNudge;
    private long _stops;
    private volatile int _count;

    /// <summary>There are verdicts that their tracers have not seen yet.</summary>
    internal bool Any => _count > 0;

    /// <summary>Number of the last stop that a tracer saw.</summary>
    internal long Stops => Volatile.Read(ref _stops);

    internal FaultVerdicts() => WakeSignal.Install();

    /// <summary>Numbers a stop. By its tracer, before it handles the stop.</summary>
    internal long NextStop() => Interlocked.Increment(ref _stops);

    /// <summary>A new verdict, in place of an older one on the same thread. By the pager.</summary>
    internal void Add(in FaultVerdict verdict)
    {
        (SpacePaging space, int tid) = (verdict.Space, verdict.Tid);
        lock (_lock)
        {
            if (space.IsOver)
            {
                return;
            }
            int index = _waiting.FindIndex(waiting => waiting.Tid == tid && waiting.Space == space);
            if (index >= 0)
            {
                _waiting[index] = verdict;
                return;
            }
            _waiting.Add(verdict);
            _count = _waiting.Count;
        }
        Wake(space.Tracer);
    }

    /// <summary>Forgets the verdicts on an address space that has ended: there are none on it from now on.</summary>
    internal void End(SpacePaging space)
    {
        lock (_lock)
        {
            space.IsOver = true;
            _ = _waiting.RemoveAll(waiting => waiting.Space == space);
            _count = _waiting.Count;
        }
    }

    /// <summary>Interrupts the waits of those for whom there is a verdict, unless that was done a moment ago. By the pager.</summary>
    internal void Nudge()
    {
        if (Stopwatch.GetElapsedTime(_lastNudge).TotalMilliseconds < NudgeMilliseconds)
        {
            return;
        }
        _lastNudge = Stopwatch.GetTimestamp();
        lock (_lock)
        {
            _woken.Clear();
            foreach (FaultVerdict verdict in _waiting)
            {
                if (!_woken.Contains(verdict.Space.Tracer))
                {
                    _woken.Add(verdict.Space.Tracer);
                    Wake(verdict.Space.Tracer);
                }
            }
        }
    }

    /// <summary>Takes a verdict for a tracer. By that one.</summary>
    internal bool TryTake(int tracer, out FaultVerdict verdict)
    {
        lock (_lock)
        {
            int index = _waiting.FindIndex(waiting => waiting.Space.Tracer == tracer);
            verdict = index >= 0 ? _waiting[index] : default;
            if (index >= 0)
            {
                _waiting.RemoveAt(index);
                _count = _waiting.Count;
            }
            return index >= 0;
        }
    }

    private void Wake(int tracer) => _ = Libc.Syscall(SYS_tgkill, _pid, tracer, WakeSignal.Number);
}
