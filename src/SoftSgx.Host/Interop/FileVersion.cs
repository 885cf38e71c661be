using System.Text;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Interop;

/// <summary>Which contents a file has: an inode, its size, and when it was changed last.</summary>
internal readonly record struct FileVersion(ulong Device, ulong Inode, ulong Size, ulong Modified, ulong ModifiedNs, ulong Changed, ulong ChangedNs)
{
    /// <summary>Of a file by its name in a process, through /proc/PID/root.</summary>
    internal static unsafe bool TryOf(int pid, string name, out FileVersion version)
    {
        fixed (byte* path = Encoding.UTF8.GetBytes($"/proc/{pid}/root{name}\0"))
        {
            return TryStat(AT_FDCWD, path, 0, out version);
        }
    }

    /// <summary>Of a descriptor of another process, through /proc/PID/fd.</summary>
    internal static unsafe bool TryOf(int pid, int fd, out FileVersion version)
    {
        version = default;
        if (fd < 0)
        {
            return false;
        }
        fixed (byte* path = ProcPath.OfDescriptor(pid, fd))
        {
            return TryStat(AT_FDCWD, path, 0, out version);
        }
    }

    /// <summary>newfstatat(2); all zero if it fails.</summary>
    internal static unsafe bool TryStat(int directory, byte* path, int flags, out FileVersion version)
    {
        // struct stat of x86-64: 144 bytes; as words (asm/stat.h): device, inode, …, size 6, …, mtime 11 and 12, ctime 13 and 14.
        ulong* stat = stackalloc ulong[18];
        bool ok = Libc.Syscall(SYS_newfstatat, directory, (nint)path, (nint)stat, flags) == 0;
        version = ok ? new FileVersion(stat[0], stat[1], stat[6], stat[11], stat[12], stat[13], stat[14]) : default;
        return ok;
    }
}
