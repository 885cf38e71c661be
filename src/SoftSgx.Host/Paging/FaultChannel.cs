using SoftSgx.Host.Interop;
using SoftSgx.Host.Ptrace;
using SoftSgx.Host.Supervision;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Paging;

/// <summary>The userfaultfd of an address space: accesses to pages of enclaves that are not in the EPC come to the pager.</summary>
/// <remarks>
/// <para>
/// Registered for missing pages and for write protection. A hole of a memfd would otherwise be filled with a page of zeros at the
/// first touch. Write protection is how a page is taken away from the program's threads before it is evicted, and it keeps the kernel
/// from mapping neighbours of a touched page, which were not touched.
/// </para>
/// <para>
/// User mode only, which needs no privilege: an access by the kernel on the program's behalf fails with EFAULT instead of waiting.
/// Thread-safe: pager, reclaimer and tracer use it, and the tracer closes it.
/// </para>
/// </remarks>
internal sealed unsafe class FaultChannel : IDisposable
{
    private const ulong Features =
        UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_THREAD_ID | UFFD_FEATURE_EXACT_ADDRESS
        | UFFD_FEATURE_WP_HUGETLBFS_SHMEM;

    private readonly Lock _gate = new();
    private int _fd;

    private FaultChannel(int fd) => _fd = fd;

    /// <summary>The descriptor, for the pager's epoll; -1 once closed.</summary>
    internal int Descriptor => _fd;

    /// <summary>Creates it in the thread's address space and takes it over; the errno says why not.</summary>
    internal static FaultChannel? Create(TracedThread thread, in InjectedCalls calls, out int errno)
    {
        long fd = calls.Call(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
        if (fd < 0)
        {
            errno = (int)-fd;
            return null;
        }
        int own = ForeignDescriptor.TakeOver(thread.Tid, (int)fd);
        _ = calls.Call(SYS_close, (ulong)fd);
        if (own < 0)
        {
            errno = -own;
            return null;
        }
        errno = TryEnable(own);
        if (errno != 0)
        {
            _ = Libc.Close(own);
            return null;
        }
        return new FaultChannel(own);
    }

    /// <summary>Asks a new userfaultfd for what we need; zero or the errno: EINVAL if the kernel lacks one of the features.</summary>
    internal static int TryEnable(int fd)
    {
        // struct uffdio_api: api, features, ioctls
        ulong* api = stackalloc ulong[3] { UFFD_API, Features, 0 };
        return Libc.Ioctl(fd, (nuint)UFFDIO_API, api) == 0 ? 0 : Libc.Errno;
    }

    /// <summary>Registers a mapping of enclave memory.</summary>
    internal bool Register(ulong start, ulong end)
    {
        // struct uffdio_register: start, length, mode, ioctls
        ulong* register = stackalloc ulong[4] { start, end - start, UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP, 0 };
        return Control(UFFDIO_REGISTER, register) == 0;
    }

    /// <summary>Makes a page of the file with these contents, maps it, and wakes who waits for it; false if any of that cannot be.</summary>
    internal bool Copy(ulong page, nint source)
    {
        // struct uffdio_copy: dst, src, len, mode, copied
        ulong* copy = stackalloc ulong[5] { page, (ulong)source, PageSize, 0, 0 };
        return Control(UFFDIO_COPY, copy) == 0;
    }

    /// <summary>Lets the threads that wait for a page try again.</summary>
    internal void Wake(ulong page)
    {
        ulong* range = stackalloc ulong[2] { page, PageSize };
        _ = Control(UFFDIO_WAKE, range);
    }

    /// <summary>Makes writes to a range wait for the pager, also where nothing is mapped yet; false if a part is not registered.</summary>
    internal bool Protect(ulong start, ulong length) => SetProtection(start, length, UFFDIO_WRITEPROTECT_MODE_WP);

    /// <summary>Lets a page be written again, and wakes who waits for it.</summary>
    internal bool Unprotect(ulong page) => SetProtection(page, PageSize, 0);

    /// <summary>Reads what happened without waiting; the number of messages.</summary>
    internal int Read(Span<FaultMessage> messages)
    {
        lock (_gate)
        {
            fixed (FaultMessage* p = messages)
            {
                nint bytes = _fd < 0 ? 0 : Libc.Read(_fd, p, (nuint)(messages.Length * sizeof(FaultMessage)));
                return bytes < 0 ? 0 : (int)(bytes / sizeof(FaultMessage));
            }
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            if (_fd >= 0)
            {
                _ = Libc.Close(_fd);
                _fd = -1;
            }
        }
    }

    private bool SetProtection(ulong start, ulong length, ulong mode)
    {
        // struct uffdio_writeprotect: start, length, mode
        ulong* protect = stackalloc ulong[3] { start, length, mode };
        int errno;
        do
        {
            errno = Control(UFFDIO_WRITEPROTECT, protect);
        }
        while (errno == EAGAIN);
        return errno == 0;
    }

    private int Control(ulong request, void* argument)
    {
        lock (_gate)
        {
            return _fd < 0 ? EBADF : Libc.Ioctl(_fd, (nuint)request, argument) == 0 ? 0 : Libc.Errno;
        }
    }
}
