using SoftSgx.Host.Interop;
using SoftSgx.Host.Ptrace;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Supervision;

/// <summary>The userfaultfd of an address space: what makes an absent page fault instead of reading as zeros.</summary>
/// <remarks>
/// A hole of a memfd would otherwise be filled with a page of zeros at the first touch. With UFFD_FEATURE_SIGBUS the kernel
/// answers with SIGBUS itself, which is also what Linux's SGX driver answers for a page that does not exist.
/// </remarks>
internal static unsafe class UserFault
{
    /// <summary>struct uffdio_api: api, features, ioctls.</summary>
    private const ulong Features = UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_SIGBUS;

    /// <summary>Creates it in the thread's address space and takes it over; zero or the errno.</summary>
    internal static int Create(TracedThread thread, in InjectedCalls calls)
    {
        // User mode only: what an unprivileged process may have. A copy by the kernel from an absent page fails with EFAULT anyhow.
        long fd = calls.Call(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
        if (fd < 0)
        {
            return (int)-fd;
        }
        int own = TakeOver(thread.Tid, (int)fd);
        _ = calls.Call(SYS_close, (ulong)fd);
        if (own < 0)
        {
            return -own;
        }
        ulong* api = stackalloc ulong[3] { UFFD_API, Features, 0 };
        if (Libc.Ioctl(own, (nuint)UFFDIO_API, api) != 0)
        {
            int errno = Libc.Errno;
            _ = Libc.Close(own);
            return errno;
        }
        thread.Space.UserFaultFd = own;
        return 0;
    }

    /// <summary>Registers a mapping of enclave memory.</summary>
    internal static void Register(AddressSpace space, ulong start, ulong end)
    {
        // struct uffdio_register: start, length, mode, ioctls
        ulong* register = stackalloc ulong[4] { start, end - start, UFFDIO_REGISTER_MODE_MISSING, 0 };
        if (space.UserFaultFd >= 0)
        {
            _ = Libc.Ioctl(space.UserFaultFd, (nuint)UFFDIO_REGISTER, register);
        }
    }

    /// <summary>Our descriptor for an open file of another process, or minus the errno.</summary>
    private static int TakeOver(int tid, int fd)
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
