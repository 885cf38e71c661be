namespace SoftSgx.Host.Interop;

/// <summary>Native constants under their native names (x86-64 Linux UAPI headers).</summary>
internal static class Native
{
    // asm/unistd_64.h
    internal const int
        SYS_read = 0, SYS_open = 2, SYS_close = 3, SYS_stat = 4, SYS_fstat = 5, SYS_lstat = 6, SYS_mmap = 9, SYS_mprotect = 10,
        SYS_munmap = 11, SYS_rt_sigaction = 13, SYS_rt_sigprocmask = 14, SYS_rt_sigreturn = 15, SYS_ioctl = 16, SYS_access = 21,
        SYS_mremap = 25, SYS_dup3 = 292, SYS_getpid = 39, SYS_clone = 56, SYS_execve = 59, SYS_creat = 85, SYS_readlink = 89, SYS_readlinkat = 267, SYS_getxattr = 191, SYS_lgetxattr = 192, SYS_listxattr = 194,
        SYS_llistxattr = 195, SYS_ptrace = 101,
        SYS_prctl = 157, SYS_setrlimit = 160, SYS_tkill = 200, SYS_openat = 257, SYS_newfstatat = 262, SYS_faccessat = 269,
        SYS_kcmp = 312, SYS_seccomp = 317, SYS_memfd_create = 319, SYS_userfaultfd = 323, SYS_pkey_mprotect = 329, SYS_statx = 332,
        SYS_membarrier = 324, SYS_pidfd_open = 434, SYS_openat2 = 437, SYS_pidfd_getfd = 438, SYS_faccessat2 = 439,
        SYS_write = 1, SYS_poll = 7, SYS_lseek = 8, SYS_pread64 = 17, SYS_pwrite64 = 18, SYS_readv = 19, SYS_writev = 20, SYS_dup = 32, SYS_dup2 = 33,
        SYS_fcntl = 72, SYS_ftruncate = 77, SYS_fstatfs = 138, SYS_fallocate = 285, SYS_preadv = 295, SYS_pwritev = 296,
        SYS_process_vm_readv = 310, SYS_process_vm_writev = 311, SYS_preadv2 = 327, SYS_pwritev2 = 328,
        SYS_wait4 = 61, SYS_waitid = 247, SYS_exit = 60, SYS_setpgid = 109, SYS_gettid = 186, SYS_futex = 202, SYS_epoll_ctl = 233, SYS_tgkill = 234, SYS_sched_setaffinity = 203, SYS_sched_getaffinity = 204,
        SYS_madvise = 28, SYS_epoll_pwait = 281, SYS_eventfd2 = 290, SYS_epoll_create1 = 291, SYS_close_range = 436;

    // linux/ptrace.h
    internal const int
        PTRACE_CONT = 7, PTRACE_SINGLESTEP = 9, PTRACE_DETACH = 17, PTRACE_GETREGS = 12, PTRACE_SETREGS = 13, PTRACE_SETFPREGS = 15, PTRACE_SYSCALL = 24, PTRACE_SET_THREAD_AREA = 26, PTRACE_SYSEMU = 31, PTRACE_GETEVENTMSG = 0x4201,
        PTRACE_GETSIGINFO = 0x4202, PTRACE_SETSIGINFO = 0x4203, PTRACE_GETREGSET = 0x4204, PTRACE_SETREGSET = 0x4205,
        PTRACE_SEIZE = 0x4206, PTRACE_INTERRUPT = 0x4207, PTRACE_LISTEN = 0x4208, PTRACE_GETSIGMASK = 0x420a, PTRACE_SETSIGMASK = 0x420b;

    internal const int
        PTRACE_O_TRACESYSGOOD = 1, PTRACE_O_TRACEFORK = 2, PTRACE_O_TRACEVFORK = 4, PTRACE_O_TRACECLONE = 8, PTRACE_O_TRACEEXEC = 0x10,
        PTRACE_O_TRACESECCOMP = 0x80, PTRACE_O_EXITKILL = 0x100000;

    internal const int
        PTRACE_EVENT_FORK = 1, PTRACE_EVENT_VFORK = 2, PTRACE_EVENT_CLONE = 3, PTRACE_EVENT_EXEC = 4, PTRACE_EVENT_SECCOMP = 7,
        PTRACE_EVENT_STOP = 128;

    internal const int NT_X86_XSTATE = 0x202;

    // asm/mman.h, linux/memfd.h, linux/fcntl.h, linux/falloc.h
    internal const int PROT_READ = 1, PROT_WRITE = 2, PROT_EXEC = 4, PROT_NONE = 0;
    internal const int
        MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_SHARED_VALIDATE = 3, MAP_TYPE = 0xf, MAP_FIXED = 0x10, MAP_ANONYMOUS = 0x20,
        MAP_NORESERVE = 0x4000, MAP_FIXED_NOREPLACE = 0x100000;
    internal const int MADV_DONTNEED = 4, MADV_DONTFORK = 10, MADV_DONTNEED_LOCKED = 24;
    internal const int MREMAP_FIXED = 2;
    internal const int MFD_CLOEXEC = 1, MFD_ALLOW_SEALING = 2, MFD_EXEC = 0x10;
    internal const int AT_FDCWD = -100, AT_SYMLINK_NOFOLLOW = 0x100, AT_EMPTY_PATH = 0x1000;
    internal const int O_RDONLY = 0, O_WRONLY = 1, O_RDWR = 2, O_ACCMODE = 3, O_CREAT = 0x40, O_EXCL = 0x80, O_NONBLOCK = 0x800, O_DIRECTORY = 0x10000, O_CLOEXEC = 0x80000, O_PATH = 0x200000;
    internal const int F_DUPFD = 0, F_GETFL = 3, F_SETFL = 4, F_DUPFD_CLOEXEC = 1030, F_SETLEASE = 1024, F_ADD_SEALS = 1033, F_GET_SEALS = 1034, F_WRLCK = 1, F_UNLCK = 2;
    internal const int F_SEAL_SEAL = 1, F_SEAL_SHRINK = 2, F_SEAL_GROW = 4;
    internal const int FALLOC_FL_KEEP_SIZE = 1, FALLOC_FL_PUNCH_HOLE = 2;
    internal const int SEEK_SET = 0, SEEK_CUR = 1;

    // linux/uio.h, linux/fs.h (MAX_RW_COUNT: read(2)), linux/magic.h, arch/x86 (TASK_SIZE_MAX with four levels of page tables)
    internal const int UIO_MAXIOV = 1024, RWF_HIPRI = 1, PROC_SUPER_MAGIC = 0x9fa0;
    internal const ulong MAX_RW_COUNT = 0x7ffff000, TASK_SIZE = 0x7ffffffff000;

    // linux/prctl.h, linux/seccomp.h
    internal const int PR_SET_NAME = 15, PR_SET_CHILD_SUBREAPER = 36, PR_SET_NO_NEW_PRIVS = 38;
    internal const int SECCOMP_SET_MODE_FILTER = 1, SECCOMP_FILTER_FLAG_TSYNC = 1;
    internal const uint SECCOMP_RET_ALLOW = 0x7fff0000, SECCOMP_RET_TRACE = 0x7ff00000;
    internal const uint AUDIT_ARCH_X86_64 = 0xC000003E;

    // asm/signal.h, asm-generic/siginfo.h
    internal const int
        SIGHUP = 1, SIGINT = 2, SIGQUIT = 3, SIGILL = 4, SIGTRAP = 5, SIGBUS = 7, SIGFPE = 8, SIGKILL = 9, SIGUSR1 = 10,
        SIGSEGV = 11, SIGUSR2 = 12, SIGPIPE = 13, SIGALRM = 14, SIGTERM = 15, SIGCHLD = 17, SIGCONT = 18, SIGSTOP = 19, SIGTSTP = 20,
        SIGTTIN = 21, SIGTTOU = 22, SIGURG = 23, SIGVTALRM = 26, SIGPROF = 27, SIGWINCH = 28, SIGIO = 29, SIGPWR = 30, SIGSTKFLT = 16, SIGSYS = 31, SIGRTMAX = 64;
    internal const int SI_KERNEL = 0x80;
    internal const int FPE_INTDIV = 1, SEGV_MAPERR = 1, SEGV_ACCERR = 2, BUS_ADRALN = 1, BUS_ADRERR = 2, ILL_ILLOPN = 2, TRAP_BRKPT = 1, TRAP_TRACE = 2, TRAP_PERF = 6;
    internal const int PERF_TYPE_BREAKPOINT = 5; // linux/perf_event.h
    internal const ulong SIG_DFL = 0, SIG_IGN = 1;
    internal const ulong SA_SIGINFO = 4, SA_RESTART = 0x10000000, SA_NODEFER = 0x40000000, SA_RESETHAND = 0x80000000;

    // linux/sched.h, linux/wait.h, linux/kcmp.h, linux/auxvec.h, sys/resource.h
    internal const int CLONE_VM = 0x100, CLONE_FILES = 0x400, CLOSE_RANGE_UNSHARE = 2;
    internal const int __WALL = 0x40000000, __WNOTHREAD = 0x20000000, WNOHANG = 1, WSTOPPED = 2, WEXITED = 4, WNOWAIT = 0x01000000;
    internal const int KCMP_VM = 1, KCMP_SIGHAND = 4;
    internal const int AT_SYSINFO_EHDR = 33, AT_HWCAP2 = 26;
    internal const int RLIMIT_CORE = 4, RLIMIT_NOFILE = 7;

    // linux/userfaultfd.h
    internal const ulong
        UFFD_API = 0xAA, UFFD_FEATURE_PAGEFAULT_FLAG_WP = 1 << 0, UFFD_FEATURE_MISSING_SHMEM = 1 << 5, UFFD_FEATURE_THREAD_ID = 1 << 8,
        UFFD_FEATURE_EXACT_ADDRESS = 1 << 11, UFFD_FEATURE_WP_HUGETLBFS_SHMEM = 1 << 12;
    internal const ulong
        UFFDIO_API = 0xC018AA3F, UFFDIO_REGISTER = 0xC020AA00, UFFDIO_WAKE = 0x8010AA02, UFFDIO_COPY = 0xC028AA03,
        UFFDIO_WRITEPROTECT = 0xC018AA06;
    internal const ulong UFFDIO_REGISTER_MODE_MISSING = 1, UFFDIO_REGISTER_MODE_WP = 2, UFFDIO_WRITEPROTECT_MODE_WP = 1;
    internal const byte UFFD_EVENT_PAGEFAULT = 0x12;
    internal const ulong UFFD_PAGEFAULT_FLAG_WRITE = 1, UFFD_PAGEFAULT_FLAG_WP = 2;
    internal const int UFFD_USER_MODE_ONLY = 1;

    // asm-generic/poll.h, sys/epoll.h, sys/eventfd.h, linux/futex.h
    internal const int EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL = 2, EPOLL_CLOEXEC = 0x80000;
    internal const uint EPOLLIN = 1;
    internal const short POLLOUT = 4;
    internal const int EFD_CLOEXEC = 0x80000;
    internal const int FUTEX_WAIT = 0, FUTEX_WAKE = 1;

    // asm-generic/errno*.h
    internal const int
        EPERM = 1, ENOENT = 2, ESRCH = 3, EINTR = 4, EIO = 5, ENFILE = 23, EMFILE = 24, EAGAIN = 11, ENOEXEC = 8, EBADF = 9, ECHILD = 10, EACCES = 13,
        EFAULT = 14, EEXIST = 17, ENODEV = 19, ENOTDIR = 20, EISDIR = 21, EINVAL = 22, ENOTTY = 25, EPIPE = 32, ENODATA = 61, ENOSYS = 38;

    internal const ulong PageSize = 4096;
}
