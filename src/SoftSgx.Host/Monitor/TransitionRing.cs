using System.Globalization;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using SoftSgx.Architecture;
using SoftSgx.Kernel.Tracing;

namespace SoftSgx.Host.Monitor;

/// <summary>How far a ring is written and read: both count events from the beginning and do not wrap.</summary>
[StructLayout(LayoutKind.Explicit, Size = MonitorLayout.RecordSize)]
internal struct RingControl
{
    /// <summary>Events that the thread has published. The supervisor writes it only for a thread that stands still.</summary>
    [FieldOffset(AtHead)] internal ulong Head;

    /// <summary>Events that the supervisor has taken, for the thread to see; the supervisor itself does not rely on it.</summary>
    [FieldOffset(AtTail)] internal ulong Tail;

    internal const int AtHead = 0, AtTail = 64;
}

/// <summary>A transition, as the thread that made it tells it.</summary>
[StructLayout(LayoutKind.Explicit, Size = Bytes)]
internal struct RingEvent
{
    /// <summary>When: RDTSC.</summary>
    [FieldOffset(AtTime)] internal ulong Time;

    /// <summary>RBX at the ENCLU: the TCS, or where EEXIT goes.</summary>
    [FieldOffset(AtRbx)] internal ulong Rbx;

    /// <summary>The AEP: RCX before an entry, and after an exit.</summary>
    [FieldOffset(AtRcx)] internal ulong Rcx;

    /// <summary>The leaf.</summary>
    [FieldOffset(AtLeaf)] internal byte Leaf;

    /// <summary>The counter of the site's entries, <see cref="SiteRecord.EntryCounter"/>, which tells the vDSO's function from others.</summary>
    [FieldOffset(AtWay)] internal byte Way;

    /// <summary>The lower half of the lower half of the address of the TCS's record.</summary>
    [FieldOffset(AtTcs)] internal ushort Tcs;

    /// <summary>What EENTER leaves in RAX.</summary>
    [FieldOffset(AtCssa)] internal uint Cssa;

    internal const int AtTime = 0, AtRbx = 8, AtRcx = 16, AtLeaf = 24, AtWay = 25, AtTcs = 26, AtCssa = 28, Bytes = 32;
}

/// <summary>The TCSs that threads of an address space enter by, and the enclaves that they belong to: what an event does not say itself.</summary>
internal sealed class TracedTcss
{
    private readonly (ulong Tcs, ulong Base, ulong Size)[] _tcss = new (ulong, ulong, ulong)[MonitorLayout.RecordCount];

    /// <summary>The TCS of a record.</summary>
    internal ref (ulong Tcs, ulong Base, ulong Size) this[int index] => ref _tcss[index];
}

/// <summary>The supervisor's end of a ring: takes the events that a thread of the program has published.</summary>
/// <remarks>
/// The program can write to all of it at any time. So an event is copied before it is looked at, no more are taken at a time than the ring
/// holds, and what they say is printed and nothing else: a program that makes events up misleads those who trace it about itself.
/// <see cref="Tracing.TransitionLog"/> calls it, under its lock.
/// </remarks>
internal sealed unsafe class TransitionRing
{
    /// <summary>Events in a ring.</summary>
    internal const int Events = MonitorLayout.RingSize / RingEvent.Bytes;

    /// <summary>As many may wait. It is odd, so that it is an EEXIT that finds no room: after an EENTER there the EEXIT would be a call too.</summary>
    internal const int Room = Events - 1;

    private readonly RingControl* _control;
    private readonly RingEvent* _events;
    private readonly TracedTcss _tcss;
    private ulong _tail, _end;
    private RingEvent _next;

    /// <param name="control">Address of the control, in memory that outlives this.</param>
    /// <param name="events">Address of the events.</param>
    /// <param name="tcss">What the TCSs' records are of.</param>
    /// <param name="tid">The thread.</param>
    internal TransitionRing(nint control, nint events, TracedTcss tcss, int tid)
    {
        _control = (RingControl*)control;
        _events = (RingEvent*)events;
        (_tcss, Tid) = (tcss, tid);
        *_control = default;
        Thread = tid.ToString(CultureInfo.InvariantCulture);
    }

    /// <summary>The thread.</summary>
    internal int Tid { get; }

    /// <summary>The thread as events name it.</summary>
    internal string Thread { get; }

    /// <summary>The time of the next event, not before that of the one before; valid after <see cref="TryPeek"/>.</summary>
    internal ulong Time { get; private set; }

    /// <summary>The last event since <see cref="Forget"/> was an entry.</summary>
    internal bool HasEntered { get; private set; }

    /// <summary>Looks how many events there are.</summary>
    internal void Begin()
    {
        _end = Volatile.Read(ref _control->Head);
        if (_end - _tail > Room)
        {
            _tail = _end; // made up: no thread writes more
            End();
        }
    }

    /// <summary>Copies the next event; false if there were no more when <see cref="Begin"/> looked.</summary>
    internal bool TryPeek()
    {
        if (_tail == _end)
        {
            return false;
        }
        _next = Unsafe.ReadUnaligned<RingEvent>(_events + (_tail % Events));
        Time = Math.Max(Time, _next.Time);
        return true;
    }

    /// <summary>Takes the event that was copied; null if it is none that a thread writes.</summary>
    internal TraceEvent? Take()
    {
        _tail++;
        EncluLeaf leaf = (EncluLeaf)_next.Leaf;
        if (leaf is not (EncluLeaf.EENTER or EncluLeaf.ERESUME or EncluLeaf.EEXIT))
        {
            return null;
        }
        HasEntered = leaf != EncluLeaf.EEXIT;
        (ulong tcs, ulong start, ulong size) = _tcss[_next.Tcs / MonitorLayout.RecordSize];
        bool isKnown = leaf == EncluLeaf.EEXIT || tcs == _next.Rbx;
        string way = leaf != EncluLeaf.EEXIT && _next.Way == ThreadRecord.AtEntriesByVdso ? "vdso" : "site";
        return TransitionTrace.Completed(leaf, _next.Rbx, _next.Rcx, _next.Cssa, isKnown ? start : 0, isKnown ? size : 0, way, Thread);
    }

    /// <summary>Gives the room of the events taken back to the thread.</summary>
    internal void End() => Volatile.Write(ref _control->Tail, _tail);

    /// <summary>The model knows where the thread is.</summary>
    internal void Forget() => HasEntered = false;

    /// <summary>Publishes the event that a thread, which stands still, has written and not published.</summary>
    internal void Publish() => Volatile.Write(ref _control->Head, _control->Head + 1);

    /// <summary>True if what would be published next is an exit: one that is written, or one that was taken long ago.</summary>
    internal bool NextIsExit => _events[_control->Head % Events].Leaf == (byte)EncluLeaf.EEXIT;
}
