using System.Buffers.Text;
using System.Diagnostics;
using System.Numerics;
using SoftSgx.Host.Interop;

namespace SoftSgx.Host.Supervision;

/// <summary>Keeps the supervisor on the processor of the thread that it serves.</summary>
/// <remarks>
/// A stop wakes the supervisor and a continuation wakes the thread. On one processor each is a switch; across processors each is
/// an interrupt to a perhaps sleeping one, which on virtual machines costs several times as much. The program's own affinity is
/// not touched: the supervisor moves.
/// <para>
/// The kernel wakes a thread on an idle processor if the one it was on is taken, which it is: by the supervisor. So where processors are idle
/// a thread flees from its supervisor. One that stops often, such as under many signals, is kept: while it is woken, and no longer, it may
/// run on this processor only. Nobody in the program can see that or come between: threads that ask for or set a thread's processors
/// stop, and nobody is kept until they are through.
/// </para>
/// </remarks>
internal sealed unsafe class ProcessorFollower
{
    /// <summary>A thread's processor is looked up once in so many of its stops.</summary>
    private const uint StopsBetweenLooks = 64;

    /// <summary>A thread that fled is kept for so many looks.</summary>
    private const int LooksToKeep = 64;

    private const int MaskWords = 16;

    /// <summary>Calls under way by which threads ask for or set processors, and threads that are being kept, of all tracers.</summary>
    private static int s_affinityCalls, s_keeping;

    private readonly ulong[] _allowed = new ulong[MaskWords];
    private readonly ulong[] _kept = new ulong[MaskWords];
    private volatile int _current = -1;

    internal ProcessorFollower()
    {
        fixed (ulong* mask = _allowed)
        {
            // Of our first thread: nobody moves that one, and others may have been made by one that was moved.
            _ = Libc.SchedGetAffinity(Libc.GetPid(), MaskWords * sizeof(ulong), mask);
        }
    }

    /// <summary>The processor that it moved its thread to last; -1 at the beginning.</summary>
    internal int Current => _current;

    /// <summary>Moves the calling thread, always the same, to where <paramref name="thread"/> is.</summary>
    internal void Follow(TracedThread thread)
    {
        if (thread.Stops++ % StopsBetweenLooks != 0)
        {
            return;
        }
        int processor = ProcessorOf(thread.Tid);
        long now = Stopwatch.GetTimestamp();
        bool isBusy = now - thread.Seen.Time < Stopwatch.Frequency * StopsBetweenLooks / 1000; // more than one stop a millisecond
        bool fled = processor != _current && thread.Seen.Processor == _current;
        thread.KeptLooks = !isBusy ? 0 : fled ? LooksToKeep : Math.Max(thread.KeptLooks - 1, 0);
        thread.KeptBy = thread.KeptLooks > 0 && thread.Space.CallTraps.Count > 0 ? this : null;
        thread.Seen = (processor, now);
        MoveTo(processor);
    }

    /// <summary>A thread asks for or sets a thread's processors: nobody is kept from now on, and nobody is any more.</summary>
    internal static void BeginAffinityCall()
    {
        Interlocked.Increment(ref s_affinityCalls);
        SpinWait spin = default;
        while (Volatile.Read(ref s_keeping) != 0)
        {
            spin.SpinOnce(); // another tracer wakes a thread
        }
    }

    /// <summary>Its call is over.</summary>
    internal static void EndAffinityCall() => Interlocked.Decrement(ref s_affinityCalls);

    /// <summary>Keeps a stopped thread on the supervisor's processor if it was there last, until <see cref="Release"/>.</summary>
    internal bool TryKeep(TracedThread thread)
    {
        if (thread.Seen.Processor != _current)
        {
            return false;
        }
        Interlocked.Increment(ref s_keeping);
        bool isKept = Volatile.Read(ref s_affinityCalls) == 0 && TryPin(thread.Tid);
        if (!isKept)
        {
            Interlocked.Decrement(ref s_keeping);
        }
        return isKept;
    }

    private bool TryPin(int tid)
    {
        int count = 0;
        fixed (ulong* mask = _kept)
        {
            if (Libc.SchedGetAffinity(tid, MaskWords * sizeof(ulong), mask) != 0)
            {
                return false;
            }
            for (int i = 0; i < MaskWords; i++)
            {
                count += BitOperations.PopCount(mask[i]);
            }
        }
        return count > 1 && Pin(tid, _current);
    }

    /// <summary>The thread that was kept, and goes on, may run where it could before.</summary>
    internal void Release(TracedThread thread)
    {
        fixed (ulong* mask = _kept)
        {
            _ = Libc.SchedSetAffinity(thread.Tid, MaskWords * sizeof(ulong), mask);
        }
        Interlocked.Decrement(ref s_keeping);
    }

    /// <summary>A new thread may run where its parent may, which has just made it, perhaps before it was released.</summary>
    internal static void Inherit(TracedThread parent, int child)
    {
        if (parent.KeptBy is not null)
        {
            ulong* mask = stackalloc ulong[MaskWords];
            new Span<ulong>(mask, MaskWords).Clear();
            if (Libc.SchedGetAffinity(parent.Tid, MaskWords * sizeof(ulong), mask) == 0)
            {
                _ = Libc.SchedSetAffinity(child, MaskWords * sizeof(ulong), mask);
            }
        }
    }

    /// <summary>The same for a thread known by its id; <paramref name="stops"/> counts the times it was served.</summary>
    internal void Follow(int tid, ref uint stops)
    {
        if (stops++ % StopsBetweenLooks != 0)
        {
            return;
        }
        MoveTo(ProcessorOf(tid));
    }

    /// <summary>Moves the calling thread, always the same, to a processor; -1 stands for none.</summary>
    internal void MoveTo(int processor)
    {
        if (processor == _current || processor < 0 || processor >= MaskWords * 64 || (_allowed[processor / 64] >> (processor % 64) & 1) == 0)
        {
            return;
        }
        if (Pin(0, processor))
        {
            _current = processor;
        }
    }

    /// <summary>Keeps a thread of ours, by its id or 0 for the calling one, on one processor.</summary>
    internal static bool Pin(int tid, int processor)
    {
        if ((uint)processor >= MaskWords * 64)
        {
            return false;
        }
        ulong* mask = stackalloc ulong[MaskWords];
        new Span<ulong>(mask, MaskWords).Clear();
        mask[processor / 64] = 1UL << (processor % 64);
        return Libc.SchedSetAffinity(tid, MaskWords * sizeof(ulong), mask) == 0;
    }

    /// <summary>Field 39 of /proc/PID/stat (proc(5)); -1 if the thread is gone.</summary>
    private static int ProcessorOf(int tid)
    {
        Span<byte> text = stackalloc byte[512];
        int length = ProcFile.Read(tid, "stat"u8, text);
        // The command name is in parentheses and may hold anything; the state, field 3, follows the last one.
        int at = length > 0 ? text[..length].LastIndexOf((byte)')') + 2 : 0;
        for (int field = 3; field < 39 && at < length; field++)
        {
            int space = text[at..length].IndexOf((byte)' ');
            if (space < 0)
            {
                return -1;
            }
            at += space + 1;
        }
        return at < length && Utf8Parser.TryParse(text[at..length], out int processor, out _) ? processor : -1;
    }
}
