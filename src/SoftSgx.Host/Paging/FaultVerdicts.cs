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
/// the pager repeats the signal as long as a verdict is left.
/// </para>
/// </remarks>
internal sealed class FaultVerdicts
{
    private readonly Lock _lock = new();
    private readonly List<FaultVerdict> _waiting = [];
    private readonly int _pid = Libc.GetPid();
    private long _stops;
    private volatile int _count;

    /// <summary>There are verdicts that their tracers have not seen yet.</summary>
    internal bool Any => _count > 0;

    /// <summary>Number of the last stop that a tracer saw.</summary>
    internal long Stops => Volatile.Read(ref _stops);

    internal FaultVerdicts() => WakeSignal.Install();

    /// <summary>Numbers a stop. By its tracer, before it handles the stop.</summary>
    internal long NextStop() => Interlocked.Increment(ref _stops);

    /// <summary>A new verdict. By the pager.</summary>
    internal void Add(in FaultVerdict verdict)
    {
        lock (_lock)
        {
            _waiting.Add(verdict);
            _count = _waiting.Count;
        }
        Wake(verdict.Space.Tracer);
    }

    /// <summary>Interrupts the waits of those for whom there is a verdict.</summary>
    internal void Nudge()
    {
        lock (_lock)
        {
            foreach (FaultVerdict verdict in _waiting)
            {
                Wake(verdict.Space.Tracer);
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
