using System.Buffers.Text;
using SoftSgx.Host.Interop;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Memory;

/// <summary>An open file of a program's that is the memory of a process: /proc/PID/mem, or /proc/PID/task/TID/mem.</summary>
/// <remarks>
/// Ours is another descriptor of the same open file (pidfd_getfd), so access mode, position and the address space that it was opened for
/// are the program's own, whatever that process has become since.
/// </remarks>
internal sealed unsafe class MemoryFile : IDisposable
{
    private readonly int _fd;

    private MemoryFile(int fd) => _fd = fd;

    /// <summary>The thread id that the path of a descriptor names, if it looks like a process's memory; 0 if not.</summary>
    /// <param name="tid">Whose descriptor.</param>
    /// <param name="fd">The descriptor.</param>
    internal static int NamedBy(int tid, int fd)
    {
        if (fd < 0)
        {
            return 0;
        }
        Span<byte> link = stackalloc byte[128];
        nint length;
        fixed (byte* path = ProcPath.OfDescriptor(tid, fd))
        fixed (byte* target = link)
        {
            length = Libc.ReadLink(path, target, (nuint)link.Length);
        }
        // …/PID/mem or …/PID/task/TID/mem: the last number counts. A path that fills the buffer is none of these.
        ReadOnlySpan<byte> rest = length > 0 && length < link.Length ? link[..(int)length] : default;
        if (!rest.EndsWith("/mem"u8))
        {
            return 0;
        }
        rest = rest[..^4];
        ReadOnlySpan<byte> number = rest[(rest.LastIndexOf((byte)'/') + 1)..];
        return Utf8Parser.TryParse(number, out int id, out int used) && used == number.Length && id > 0 ? id : 0;
    }

    /// <summary>
    /// True if a path could name a process's memory: it ends in "mem", or goes through a descriptor (/dev/fd/7, /proc/self/fd/7). What a
    /// symbolic link of the program's own leads to does not show.
    /// </summary>
    internal static bool MayBeNamedBy(ReadOnlySpan<byte> path)
    {
        int last = path.LastIndexOf((byte)'/') + 1;
        ReadOnlySpan<byte> name = path[last..];
        return name.SequenceEqual("mem"u8) || (name.Length > 0 && !name.ContainsAnyExceptInRange((byte)'0', (byte)'9'));
    }

    /// <summary>Takes the file over; null if the descriptor is gone, or not of procfs.</summary>
    internal static MemoryFile? TakeOver(int tid, int fd)
    {
        int own = ForeignDescriptor.TakeOver(tid, fd);
        if (own < 0)
        {
            return null;
        }
        // struct statfs of x86-64: 120 bytes, f_type first.
        long* statfs = stackalloc long[15];
        if (Libc.Syscall(SYS_fstatfs, own, (nint)statfs) != 0 || statfs[0] != PROC_SUPER_MAGIC)
        {
            _ = Libc.Close(own);
            return null;
        }
        return new MemoryFile(own);
    }

    /// <summary>True if the program opened it for reading, or for writing.</summary>
    internal bool Allows(bool isWrite)
    {
        int flags = Libc.Fcntl(_fd, F_GETFL, 0);
        int mode = flags & O_ACCMODE;
        return flags >= 0 && (flags & O_PATH) == 0 && (mode == O_RDWR || mode == (isWrite ? O_WRONLY : O_RDONLY));
    }

    /// <summary>Where read(2) and write(2) go on. Every value is an address.</summary>
    internal ulong Position
    {
        get => (ulong)Libc.Syscall(SYS_lseek, _fd, 0, SEEK_CUR);
        set => _ = Libc.Syscall(SYS_lseek, _fd, (nint)value, SEEK_SET);
    }

    /// <summary>False once nobody uses the address space any more that it was opened for.</summary>
    /// <param name="anyAddress">An address where something is mapped.</param>
    internal bool IsAlive(ulong anyAddress)
    {
        byte probe;
        return Libc.PRead(_fd, &probe, 1, (long)anyAddress) != 0;
    }

    /// <summary>Reads or writes ordinary memory as the program's own call would; the number of bytes, zero or less if there is
    /// none.</summary>
    internal int Transfer(ulong address, Span<byte> data, bool isWrite)
    {
        fixed (byte* p = data)
        {
            nuint length = (nuint)data.Length;
            return (int)(isWrite ? Libc.PWrite(_fd, p, length, (long)address) : Libc.PRead(_fd, p, length, (long)address));
        }
    }

    public void Dispose() => _ = Libc.Close(_fd);
}
