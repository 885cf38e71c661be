using SoftSgx.Host.Interop;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Memory;

/// <summary>Another process's memory.</summary>
/// <remarks>
/// Plain reads and writes obey the page protections that the program itself is under, as the kernel's copy_from_user would.
/// <see cref="Poke"/> goes through /proc/PID/mem and reaches read-only pages: only for code and data that the supervisor places.
/// </remarks>
internal sealed unsafe class TraceeMemory : IDisposable
{
    private readonly int _memory;

    private TraceeMemory(int tid, int memory)
    {
        Tid = tid;
        _memory = memory;
    }

    /// <summary>A living thread of the process: the leader may have ended before the others.</summary>
    internal int Tid { get; set; }

    /// <summary>Opens the memory of a process as it is now; after exec it must be opened again.</summary>
    /// <remarks>Of a process that was killed meanwhile nothing can be read or written: every access then reports failure.</remarks>
    internal static TraceeMemory Open(int tid)
    {
        fixed (byte* path = ProcPath.Of(tid, "mem"u8))
        {
            return new TraceeMemory(tid, Libc.Open(path, O_RDWR | O_CLOEXEC, 0));
        }
    }

    /// <summary>True if this process may open the memory of another one now.</summary>
    internal static bool IsAccessible(int tid)
    {
        using TraceeMemory memory = Open(tid);
        return memory._memory >= 0;
    }

    /// <summary>Reads all of <paramref name="destination"/>, or reports false if any byte is not readable.</summary>
    internal bool TryRead(ulong address, Span<byte> destination) => ReadSome(address, destination) == destination.Length;

    /// <summary>Reads up to the first unreadable page; the number of bytes.</summary>
    internal int ReadSome(ulong address, Span<byte> destination)
    {
        fixed (byte* p = destination)
        {
            IoVec local = new() { Base = p, Length = (nuint)destination.Length };
            IoVec remote = new() { Base = (void*)address, Length = (nuint)destination.Length };
            nint got = Libc.ProcessVmReadV(Tid, &local, 1, &remote, 1, 0);
            return got < 0 ? 0 : (int)got;
        }
    }

    internal bool TryWrite(ulong address, ReadOnlySpan<byte> source) => WriteSome(address, source) == source.Length;

    /// <summary>Writes up to the first page that cannot be written; the number of bytes.</summary>
    internal int WriteSome(ulong address, ReadOnlySpan<byte> source)
    {
        fixed (byte* p = source)
        {
            IoVec local = new() { Base = p, Length = (nuint)source.Length };
            IoVec remote = new() { Base = (void*)address, Length = (nuint)source.Length };
            nint put = Libc.ProcessVmWriteV(Tid, &local, 1, &remote, 1, 0);
            return put < 0 ? 0 : (int)put;
        }
    }

    internal bool TryReadUInt64(ulong address, out ulong value)
    {
        fixed (ulong* p = &value)
        {
            *p = 0;
            return TryRead(address, new Span<byte>(p, sizeof(ulong)));
        }
    }

    /// <summary>Writes regardless of page protection.</summary>
    internal bool Poke(ulong address, ReadOnlySpan<byte> source)
    {
        fixed (byte* p = source)
        {
            return Libc.PWrite(_memory, p, (nuint)source.Length, (long)address) == source.Length;
        }
    }

    /// <summary>Reads regardless of page protection.</summary>
    internal bool Peek(ulong address, Span<byte> destination)
    {
        fixed (byte* p = destination)
        {
            return Libc.PRead(_memory, p, (nuint)destination.Length, (long)address) == destination.Length;
        }
    }

    /// <summary>Reads a NUL-terminated string into <paramref name="buffer"/>; its length without the NUL, -1 if unreadable, -2 if longer.</summary>
    internal int ReadString(ulong address, Span<byte> buffer)
    {
        int length = 0;
        while (length < buffer.Length)
        {
            // To the end of the page at most: the next one may not exist, and need not.
            int chunk = (int)Math.Min((ulong)(buffer.Length - length), PageSize - (address % PageSize));
            chunk = Math.Min(chunk, 256);
            int got = ReadSome(address, buffer.Slice(length, chunk));
            if (got <= 0)
            {
                return -1;
            }
            int end = buffer.Slice(length, got).IndexOf((byte)0);
            if (end >= 0)
            {
                return length + end;
            }
            length += got;
            address += (ulong)got;
        }
        return -2;
    }

    public void Dispose()
    {
        if (_memory >= 0)
        {
            _ = Libc.Close(_memory);
        }
    }
}
