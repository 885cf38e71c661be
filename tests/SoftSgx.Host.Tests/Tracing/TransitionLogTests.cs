using System.Runtime.InteropServices;
using SoftSgx.Host.Monitor;
using SoftSgx.Host.Tracing;
using SoftSgx.Kernel.Tracing;

namespace SoftSgx.Host.Tests.Tracing;

/// <summary>The supervisor's end of the rings, with threads that tell the truth and threads that do not.</summary>
public sealed class TransitionLogTests : IDisposable
{
    private const byte EENTER = 2, EEXIT = 4;

    private readonly ListTrace _trace = new();
    private readonly TransitionLog _log;
    private readonly TscClock _clock = new();
    private readonly TracedTcss _tcss = new();
    private readonly List<nint> _memory = [];

    public TransitionLogTests() => _log = new TransitionLog(_trace);

    public void Dispose()
    {
        _log.Dispose();
        _memory.ForEach(Marshal.FreeHGlobal);
    }

    [Fact]
    public void Events_of_threads_come_in_the_order_of_their_times_before_what_the_supervisor_tells()
    {
        Ring one = New(1), other = New(2);
        ulong now = Now();
        one.Tell(EENTER, now, 0x1000);
        other.Tell(EENTER, now + 1, 0x2000);
        other.Tell(EEXIT, now + 2, 0x3000);
        one.Tell(EEXIT, now + 3, 0x3000);
        _log.Write(new TraceEvent(TraceKinds.Exit, "interrupt"));

        Assert.Equal(["1 EENTER", "2 EENTER", "2 EEXIT", "1 EEXIT", " interrupt"], _trace.Events.Select(static e => $"{e.Thread} {e.Name}"));
        AssertInOrder();
    }

    [Fact]
    public void An_event_that_is_told_late_has_happened_after_those_that_were_shown()
    {
        Ring ring = New(1);
        ulong before = Now();
        _log.Write(new TraceEvent(TraceKinds.Exit, "interrupt"));
        ring.Tell(EENTER, before, 0x1000);
        _log.Flush();

        Assert.Equal(["interrupt", "EENTER"], _trace.Events.Select(static e => e.Name));
        AssertInOrder();
    }

    [Fact]
    public void What_is_to_come_waits_unless_the_thread_stands_still()
    {
        Ring ring = New(1);
        ring.Tell(EENTER, ulong.MaxValue, 0x1000);
        _log.Flush();
        Assert.Empty(_trace.Events);
        _log.Drain(ring.Taken);
        Assert.Equal("EENTER", Assert.Single(_trace.Events).Name);
        Assert.True(ring.Taken.HasEntered);
    }

    [Fact]
    public void The_room_of_events_that_were_taken_is_the_threads_again()
    {
        Ring ring = New(1);
        for (int lap = 0; lap < 5; lap++)
        {
            for (int i = 0; i < TransitionRing.Room; i++)
            {
                ring.Tell(EENTER, Now(), (ulong)i);
            }
            _log.Flush();
            Assert.Equal(ring.Head, ring.Tail);
        }
        Assert.Equal(
            Enumerable.Range(0, 5 * TransitionRing.Room).Select(static i => (ulong)(i % TransitionRing.Room)), _trace.Events.Select(static e => e.Fields[0].Value));
    }

    [Fact]
    public void A_head_that_no_thread_writes_takes_back_what_it_claims()
    {
        Ring ring = New(1);
        ring.Head = TransitionRing.Room + 1;
        _log.Flush();
        Assert.Empty(_trace.Events);
        ring.Tell(EENTER, Now(), 0x1000);
        _log.Flush();
        Assert.Single(_trace.Events);
    }

    [Fact]
    public void Addresses_are_explained_by_the_enclave_whose_TCS_it_is()
    {
        _log.Name(_tcss, 3, 0x11000, 0x10000, 0x8000);
        Ring ring = New(1);
        ring.Tell(EENTER, Now(), 0x11000, 3 * MonitorLayout.RecordSize);
        ring.Tell(EENTER, Now(), 0x12000, 3 * MonitorLayout.RecordSize); // another TCS than the record's: made up
        ring.Tell(EEXIT, Now(), 0x17FFF, 3 * MonitorLayout.RecordSize);
        _log.Flush();
        Assert.Equal([0x1000UL, null, 0x7FFFUL], _trace.Events.Select(static e => e.Fields[0].Offset));
    }

    /// <summary>A program writes whatever it likes, all the time: no more comes out than fits into a ring, and nothing but transitions.</summary>
    [Fact]
    public void Garbage_is_bounded_and_harmless()
    {
        Random random = new(20191125);
        Ring ring = New(1);
        byte[] bytes = new byte[MonitorLayout.RingSize];
        for (int i = 0; i < 300; i++)
        {
            random.NextBytes(bytes);
            Marshal.Copy(bytes, 0, ring.Events, bytes.Length);
            ring.Tail = (ulong)random.NextInt64();
            ring.Head = i % 3 == 0 ? (ulong)random.NextInt64() : ring.Head + (ulong)random.Next(TransitionRing.Room);
            int before = _trace.Events.Count;
            _log.Drain(ring.Taken);
            Assert.InRange(_trace.Events.Count - before, 0, TransitionRing.Room);
        }
        Assert.NotEmpty(_trace.Events);
        Assert.All(_trace.Events, static e => Assert.Contains(e.Name, (string[])["EENTER", "ERESUME", "EEXIT"]));
        AssertInOrder();
    }

    [Fact]
    public void Times_lie_between_the_looks_that_they_lie_between()
    {
        DateTime before = _clock.Look();
        ulong from = _clock.Tsc;
        DateTime after = _clock.Look();
        ulong to = _clock.Tsc;
        Assert.Equal(before, _clock.TimeOf(from));
        Assert.Equal(after, _clock.TimeOf(to));
        Assert.Equal(before, _clock.TimeOf(0));
        Assert.Equal(after, _clock.TimeOf(ulong.MaxValue));
        Assert.InRange(_clock.TimeOf(from + ((to - from) / 2)), before, after);
    }

    private ulong Now()
    {
        _ = _clock.Look();
        return _clock.Tsc;
    }

    private void AssertInOrder() => Assert.Equal(_trace.Events.Select(static e => e.Time).Order(), _trace.Events.Select(static e => e.Time));

    private Ring New(int tid)
    {
        nint memory = Marshal.AllocHGlobal(MonitorLayout.RecordSize + MonitorLayout.RingSize);
        _memory.Add(memory);
        Ring ring = new(memory, new TransitionRing(memory, memory + MonitorLayout.RecordSize, _tcss, tid));
        _log.Add(ring.Taken);
        return ring;
    }

    /// <summary>A thread's end of a ring.</summary>
    private sealed record Ring(nint Memory, TransitionRing Taken)
    {
        internal nint Events => Memory + MonitorLayout.RecordSize;

        internal ulong Head
        {
            get => (ulong)Marshal.ReadInt64(Memory, RingControl.AtHead);
            set => Marshal.WriteInt64(Memory, RingControl.AtHead, (long)value);
        }

        internal ulong Tail
        {
            get => (ulong)Marshal.ReadInt64(Memory, RingControl.AtTail);
            set => Marshal.WriteInt64(Memory, RingControl.AtTail, (long)value);
        }

        internal void Tell(byte leaf, ulong time, ulong rbx, int tcs = 0)
        {
            nint at = Events + ((int)(Head % TransitionRing.Events) * RingEvent.Bytes);
            Marshal.WriteInt64(at, RingEvent.AtTime, (long)time);
            Marshal.WriteInt64(at, RingEvent.AtRbx, (long)rbx);
            Marshal.WriteInt64(at, RingEvent.AtRcx, 0);
            Marshal.WriteByte(at, RingEvent.AtLeaf, leaf);
            Marshal.WriteByte(at, RingEvent.AtWay, ThreadRecord.AtEntriesByVdso);
            Marshal.WriteInt16(at, RingEvent.AtTcs, (short)tcs);
            Marshal.WriteInt32(at, RingEvent.AtCssa, 0);
            Head++;
        }
    }

    private sealed class ListTrace : ITrace
    {
        internal List<TraceEvent> Events { get; } = [];

        public bool Wants(TraceKinds kind) => true;

        public void Write(TraceEvent e) => Events.Add(e);

        public void Flush()
        {
        }
    }
}
