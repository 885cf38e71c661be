using SoftSgx.Host.Interop;
using SoftSgx.Host.Signals;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Paging;

/// <summary>Verdicts on their way from the pager to the tracer, which alone can raise a signal in a thread as the kernel would.</summary>
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
    private volatile int _tracer;

    /// <summary>Verdicts that the tracer has not seen yet.</summary>
    internal bool Any => _count > 0;

    /// <summary>Number of the last stop that the tracer saw.</summary>
    internal long Stops => Volatile.Read(ref _stops);

    /// <summary>The calling thread is the tracer.</summary>
    internal void Attach()
    {
        WakeSignal.Install();
        _tracer = (int)Libc.Syscall(SYS_gettid);
    }

    /// <summary>Numbers a stop. By the tracer, before it handles the stop.</summary>
    internal long NextStop() => Interlocked.Increment(ref _stops);

    /// <summary>A new verdict. By the pager.</summary>
    internal void Add(in FaultVerdict verdict)
    {
        lock (_lock)
        {
            _waiting.Add(verdict);
            _count = _waiting.Count;
        }
        Nudge();
    }

    /// <summary>Interrupts the tracer's wait.</summary>
    internal void Nudge() => _ = Libc.Syscall(SYS_tgkill, _pid, _tracer, WakeSignal.Number);

    /// <summary>Takes a verdict. By the tracer.</summary>
    internal bool TryTake(out FaultVerdict verdict)
    {
        lock (_lock)
        {
            verdict = _waiting.Count > 0 ? _waiting[0] : default;
            if (_waiting.Count == 0)
            {
                return false;
            }
            _waiting.RemoveAt(0);
            _count = _waiting.Count;
            return true;
        }
    }
}
