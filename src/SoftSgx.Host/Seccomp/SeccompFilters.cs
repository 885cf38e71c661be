using SoftSgx.Host.Vdso;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Seccomp;

/// <summary>The filters that decide which system calls stop a program for the supervisor.</summary>
/// <remarks>
/// Everything else runs at native speed: a call that the filter lets pass costs tens of nanoseconds, one that stops costs a
/// process switch. seccomp(2): of several filters the strictest answer counts, and RET_TRACE is stricter than RET_ALLOW, so later
/// filters only ever add stops.
/// </remarks>
internal static class SeccompFilters
{
    /// <summary>x32 system calls carry this bit; they are another ABI and none of ours.</summary>
    private const uint X32SyscallBit = 0x40000000;

    private const uint SgxIoctlMagic = 0xA400, IoctlMagicMask = 0xFF00;

    /// <summary>
    /// Installed before the program starts: path look-ups that could name a device, SGX ioctls, mappings of files that are
    /// shared or executable, other processes' memory, dispositions of the fault signals, and the trap of the vDSO's entry function.
    /// </summary>
    internal static byte[] Base()
    {
        BpfAssembler a = new();
        int trace = a.NewLabel(), allow = a.NewLabel();
        LoadNativeNumber(a, allow);

        foreach (int always in (int[])
            [
                SYS_open, SYS_openat, SYS_openat2, SYS_creat, SYS_stat, SYS_lstat, SYS_access, SYS_faccessat, SYS_faccessat2,
                SYS_readlink, SYS_readlinkat, SYS_getxattr, SYS_lgetxattr, SYS_listxattr, SYS_llistxattr,
                SYS_process_vm_readv, SYS_process_vm_writev,
            ])
        {
            a.IfEqual((uint)always, trace);
        }
        int notStatAt = a.NewLabel(), notStatx = a.NewLabel(), notIoctl = a.NewLabel(), notMap = a.NewLabel();
        int notProtect = a.NewLabel(), notSigAction = a.NewLabel(), faultSignal = a.NewLabel(), code = a.NewLabel();

        // fstat() of the C library is newfstatat(fd, "", …, AT_EMPTY_PATH): frequent, and no path to look at.
        a.IfNotEqual(SYS_newfstatat, notStatAt);
        a.LoadArgumentLow(3);
        a.IfAnySet(AT_EMPTY_PATH, allow);
        a.Ret(SECCOMP_RET_TRACE);
        a.Place(notStatAt);

        a.IfNotEqual(SYS_statx, notStatx);
        a.LoadArgumentLow(2);
        a.IfAnySet(AT_EMPTY_PATH, allow);
        a.Ret(SECCOMP_RET_TRACE);
        a.Place(notStatx);

        a.IfNotEqual(SYS_ioctl, notIoctl);
        a.LoadArgumentLow(1);
        a.And(IoctlMagicMask);
        a.IfEqual(SgxIoctlMagic, trace);
        a.Ret(SECCOMP_RET_ALLOW);
        a.Place(notIoctl);

        // A file mapping is of interest when it is executable (CPUID sites) or shared (a device).
        a.IfNotEqual(SYS_mmap, notMap);
        a.LoadArgumentLow(3);
        a.IfAnySet(MAP_ANONYMOUS, allow);
        a.LoadArgumentLow(2);
        a.IfAnySet(PROT_EXEC, trace);
        a.LoadArgumentLow(3);
        a.IfAnySet(MAP_SHARED, trace); // MAP_SHARED and MAP_SHARED_VALIDATE have bit 0
        a.Ret(SECCOMP_RET_ALLOW);
        a.Place(notMap);

        a.IfNotEqual(SYS_mprotect, notProtect);
        a.LoadArgumentLow(2);
        a.IfAnySet(PROT_EXEC, code);
        a.Ret(SECCOMP_RET_ALLOW);
        a.Place(code);
        TraceProtect(a, trace);
        a.Place(notProtect);

        // Only changes (a new action given) of the signals that faults raise.
        a.IfNotEqual(SYS_rt_sigaction, notSigAction);
        a.LoadArgumentLow(0);
        foreach (int signal in (int[])[SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV])
        {
            a.IfEqual((uint)signal, faultSignal);
        }
        a.Ret(SECCOMP_RET_ALLOW);
        a.Place(faultSignal);
        a.LoadArgumentLow(1);
        a.IfNotEqual(0, trace);
        a.LoadArgumentHigh(1);
        a.IfNotEqual(0, trace);
        a.Ret(SECCOMP_RET_ALLOW);
        a.Place(notSigAction);

        a.IfNotEqual(SYS_rt_sigreturn, allow);
        a.LoadArgumentLow(3);
        a.IfNotEqual(unchecked((uint)VdsoImage.TrapMagic), allow);
        a.LoadArgumentHigh(3);
        a.IfNotEqual((uint)(VdsoImage.TrapMagic >> 32), allow);
        a.Ret(SECCOMP_RET_TRACE);

        a.Place(trace);
        a.Ret(SECCOMP_RET_TRACE);
        a.Place(allow);
        a.Ret(SECCOMP_RET_ALLOW);
        return a.Assemble();
    }

    /// <summary>
    /// Added when a program opens a device for the first time: every change of the address space, because a range may now be
    /// enclave memory, and questions about open files, because one may now be a device, or their change.
    /// </summary>
    internal static byte[] EnclaveUser()
    {
        BpfAssembler a = new();
        int trace = a.NewLabel(), allow = a.NewLabel();
        LoadNativeNumber(a, allow);
        foreach (int number in (int[])
            [
                SYS_mmap, SYS_munmap, SYS_mremap, SYS_pkey_mprotect, SYS_fstat, SYS_newfstatat, SYS_statx, SYS_ftruncate, SYS_fallocate,
            ])
        {
            a.IfEqual((uint)number, trace);
        }
        a.IfNotEqual(SYS_mprotect, allow);
        TraceProtect(a, trace);
        a.Place(allow);
        a.Ret(SECCOMP_RET_ALLOW);
        a.Place(trace);
        a.Ret(SECCOMP_RET_TRACE);
        return a.Assemble();
    }

    /// <summary>
    /// Added when a program has opened the memory of a process (/proc/PID/mem): what reads, writes and duplicates that descriptor.
    /// </summary>
    /// <param name="descriptor">The descriptor; <see langword="null"/> for all of them.</param>
    internal static byte[] MemoryFile(int? descriptor)
    {
        BpfAssembler a = new();
        int look = a.NewLabel(), allow = a.NewLabel();
        LoadNativeNumber(a, allow);
        foreach (int number in (int[])
            [
                SYS_read, SYS_write, SYS_pread64, SYS_pwrite64, SYS_readv, SYS_writev, SYS_preadv, SYS_pwritev, SYS_preadv2, SYS_pwritev2,
                SYS_dup, SYS_dup2, SYS_dup3,
            ])
        {
            a.IfEqual((uint)number, look);
        }
        a.IfNotEqual(SYS_fcntl, allow);
        a.LoadArgumentLow(1);
        a.IfEqual(F_DUPFD, look);
        a.IfNotEqual(F_DUPFD_CLOEXEC, allow);
        a.Place(look);
        if (descriptor is int fd)
        {
            a.LoadArgumentLow(0); // an int: the kernel does not look at the upper half
            a.IfNotEqual((uint)fd, allow);
        }
        a.Ret(SECCOMP_RET_TRACE);
        a.Place(allow);
        a.Ret(SECCOMP_RET_ALLOW);
        return a.Assemble();
    }

    /// <summary>mprotect stops, but for the ageing process's.</summary>
    private static void TraceProtect(BpfAssembler a, int trace)
    {
        a.LoadArgumentLow(3);
        a.IfNotEqual(unchecked((uint)VdsoPaging.ProtectMagic), trace);
        a.LoadArgumentHigh(3);
        a.IfNotEqual((uint)(VdsoPaging.ProtectMagic >> 32), trace);
        a.Ret(SECCOMP_RET_ALLOW);
    }

    private static void LoadNativeNumber(BpfAssembler a, int allow)
    {
        a.LoadArch();
        a.IfNotEqual(AUDIT_ARCH_X86_64, allow);
        a.LoadNumber();
        a.IfAtLeast(X32SyscallBit, allow);
    }
}
