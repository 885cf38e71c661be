using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Interop;

/// <summary>Open files of other processes.</summary>
internal static class ForeignDescriptor
{
    /// <summary>Our descriptor for an open file of another process, or minus the errno.</summary>
    internal static int TakeOver(int tid, int fd)
    {
        const int PIDFD_THREAD = 0x80; // O_EXCL: the thread need not be its group's leader (Linux 6.9)
        nint pidFd = Libc.Syscall(SYS_pidfd_open, tid, PIDFD_THREAD);
        if (pidFd < 0)
        {
            pidFd = Libc.Syscall(SYS_pidfd_open, tid, 0);
        }
        if (pidFd < 0)
        {
            return -Libc.Errno;
        }
        nint own = Libc.Syscall(SYS_pidfd_getfd, pidFd, fd, 0);
        int errno = own < 0 ? Libc.Errno : 0;
        _ = Libc.Close((int)pidFd);
        return own < 0 ? -errno : (int)own;
    }
}
