using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Interop;

/// <summary>Which inode a file descriptor refers to.</summary>
internal readonly record struct FileIdentity(ulong Device, ulong Inode)
{
    /// <summary>Of a descriptor of ours.</summary>
    internal static unsafe bool TryOf(int fd, out FileIdentity identity, out long size)
    {
        fixed (byte* empty = "\0"u8)
        {
            return TryStat(fd, empty, AT_EMPTY_PATH, out identity, out size);
        }
    }

    /// <summary>Of a descriptor of another process, through /proc/PID/fd.</summary>
    internal static unsafe bool TryOf(int pid, int fd, out FileIdentity identity)
    {
        identity = default;
        if (fd < 0)
        {
            return false;
        }
        fixed (byte* path = ProcPath.OfDescriptor(pid, fd))
        {
            return TryStat(AT_FDCWD, path, 0, out identity, out _);
        }
    }

    private static unsafe bool TryStat(int directory, byte* path, int flags, out FileIdentity identity, out long size)
    {
        bool ok = FileVersion.TryStat(directory, path, flags, out FileVersion version);
        identity = new FileIdentity(version.Device, version.Inode);
        size = (long)version.Size;
        return ok;
    }
}
