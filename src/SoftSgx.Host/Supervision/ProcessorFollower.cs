using System.Buffers.Text;
using SoftSgx.Host.Interop;

namespace SoftSgx.Host.Supervision;

/// <summary>Keeps the supervisor on the processor of the thread that it serves.</summary>
/// <remarks>
/// A stop wakes the supervisor and a continuation wakes the thread. On one processor each is a switch; across processors each is
/// an interrupt to a perhaps sleeping one, which on virtual machines costs several times as much. The program's own affinity is
/// not touched: the supervisor moves.
/// </remarks>
internal sealed unsafe class ProcessorFollower
{
    /// <summary>A thread's processor is looked up once in so many of its stops.</summary>
    private const uint StopsBetweenLooks = 64;

    private const int MaskWords = 16;

    private readonly ulong[] _allowed = new ulong[MaskWords];
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
    internal void Follow(TracedThread thread) => Follow(thread.Tid, ref thread.Stops);

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
