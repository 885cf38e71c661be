using SoftSgx.Host.Monitor;
using SoftSgx.Kernel.Tracing;

namespace SoftSgx.Host.Tracing;

/// <summary>
/// All events of a run in the order of their times: those of the supervisor's threads, and those that the program's threads write into their
/// rings while nobody looks.
/// </summary>
/// <remarks>
/// <para>
/// Before each event that the supervisor tells, the rings are emptied of what is older, those of the thread that it is told of completely;
/// else twenty times a second. A thread has a place in its own order by its ring, and among others by the time at which it began to tell; if it
/// was held up between that and telling, so that later events are out already, the event has happened after those and gets their time.
/// </para>
/// <para>
/// One lock makes all of it; nothing but the target's own is taken under it. The tracer adds and removes rings.
/// </para>
/// </remarks>
internal sealed class TransitionLog : ITrace, IDisposable
{
    private static readonly TimeSpan s_patience = TimeSpan.FromMilliseconds(50);

    private readonly ITrace _target;
    private readonly TscClock _clock = new();
    private readonly Lock _gate = new();
    private readonly List<TransitionRing> _rings = [];
    private readonly PriorityQueue<TransitionRing, ulong> _next = new();
    private Timer? _timer;

    /// <summary>Events were taken that the target need not have shown yet.</summary>
    private bool _hasAppended;

    internal TransitionLog(ITrace target) => _target = target;

    /// <inheritdoc/>
    public bool Wants(TraceKinds kind) => _target.Wants(kind);

    /// <inheritdoc/>
    public void Write(TraceEvent e)
    {
        lock (_gate)
        {
            e.Time = Drain(TraceActor.Tid);
            _target.Write(e);
            _hasAppended = false;
        }
    }

    /// <inheritdoc/>
    public void Flush()
    {
        lock (_gate)
        {
            _ = Drain();
            _target.Flush();
            _hasAppended = false;
        }
    }

    /// <summary>A thread has a ring from now on.</summary>
    internal void Add(TransitionRing ring)
    {
        lock (_gate)
        {
            _rings.Add(ring);
            _timer ??= new Timer(_ => DrainNow(), null, s_patience, s_patience);
        }
    }

    /// <summary>A thread has no ring any more; it stands still, or is gone.</summary>
    internal void Remove(TransitionRing ring)
    {
        lock (_gate)
        {
            _ = Drain(ring.Tid);
            _rings.Remove(ring);
        }
    }

    /// <summary>Takes all that a thread has told, which stands still.</summary>
    internal void Drain(TransitionRing ring)
    {
        lock (_gate)
        {
            ring.Begin();
            if (ring.TryPeek())
            {
                _ = Drain(ring.Tid);
            }
        }
    }

    /// <summary>Says which TCS a record is of, after what was told of the one before.</summary>
    internal void Name(TracedTcss tcss, int index, ulong tcs, ulong start, ulong size)
    {
        lock (_gate)
        {
            ref (ulong, ulong, ulong) named = ref tcss[index];
            if (named != (tcs, start, size))
            {
                _ = Drain();
                named = (tcs, start, size);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _timer?.Dispose();
        Flush();
    }

    private void DrainNow()
    {
        lock (_gate)
        {
            _ = Drain();
            if (_hasAppended)
            {
                _target.Flush();
                _hasAppended = false;
            }
        }
    }

    /// <summary>Tells what has happened so far, and all that one thread has told; the time until which that is.</summary>
    private DateTime Drain(int tid = 0)
    {
        DateTime now = _clock.Look();
        foreach (TransitionRing ring in _rings)
        {
            ring.Begin();
            Queue(ring, tid);
        }
        while (_next.TryDequeue(out TransitionRing? ring, out _))
        {
            DateTime time = _clock.TimeOf(ring.Time);
            if (ring.Take() is TraceEvent e)
            {
                e.Time = time;
                _target.Append(e);
                _hasAppended = true;
            }
            if (!Queue(ring, tid))
            {
                ring.End();
            }
        }
        return now;
    }

    private bool Queue(TransitionRing ring, int tid)
    {
        if (!ring.TryPeek() || (ring.Time > _clock.Tsc && ring.Tid != tid))
        {
            return false;
        }
        _next.Enqueue(ring, ring.Time);
        return true;
    }
}
