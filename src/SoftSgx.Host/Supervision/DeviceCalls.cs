using SoftSgx.Host.Devices;
using SoftSgx.Host.Enclaves;
using SoftSgx.Host.Interop;
using SoftSgx.Host.Memory;
using SoftSgx.Host.Monitor;
using SoftSgx.Host.Paging;
using SoftSgx.Host.Ptrace;
using SoftSgx.Host.Signals;
using SoftSgx.Host.Tracing;
using SoftSgx.Kernel;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Supervision;

/// <summary>System calls that name or use a device file: open, stat, access, ioctl; and dispositions of the fault signals.</summary>
internal sealed class DeviceCalls
{
    private readonly SgxSubsystem _subsystem;
    private readonly HostEpcPlatform _platform;
    private readonly OpenDevices _devices;
    private readonly ProgramImage _image;
    private readonly ProgramPaging _paging;
    private readonly SupervisorLock _lock;
    private readonly ProgramMonitor? _monitor;
    private readonly CallTrace? _trace;
    private readonly Action<string> _warn;
    private readonly DeviceAccess _access;
    private readonly byte[] _path = new byte[DevicePaths.MaximumPath];
    private readonly int _memfdFlags;

    internal DeviceCalls(
        SgxSubsystem subsystem,
        HostEpcPlatform platform,
        OpenDevices devices,
        ProgramImage image,
        ProgramPaging paging,
        DeviceAccess access,
        ProgramMonitor? monitor,
        CallTrace? trace,
        Action<string> warn,
        SupervisorLock supervisorLock)
    {
        _lock = supervisorLock;
        _access = access;
        _monitor = monitor;
        _trace = trace;
        _paging = paging;
        _subsystem = subsystem;
        _platform = platform;
        _devices = devices;
        _image = image;
        _warn = warn;
        _memfdFlags = MemfdFlags();
    }

    /// <summary>A warning that is due when the enclave device is first opened; null once it was given.</summary>
    internal string? NoticeAtFirstEnclave { get; set; }

    internal CallVerdict OnOpen(TracedThread thread, ref UserRegs regs)
    {
        (int directory, ulong path) = regs.OrigRax is SYS_openat or SYS_openat2 ? ((int)regs.Rdi, regs.Rsi) : (AT_FDCWD, regs.Rdi);
        DeviceNode node = Find(thread, directory, path, out int length);
        if (node == DeviceNode.None && MemoryFile.MayBeNamedBy(_path.AsSpan(0, length)))
        {
            return CallVerdict.WatchEnd(PendingCall.NewDescriptor);
        }
        if (node == DeviceNode.None || !TryReadOpenFlags(thread, regs, out int flags))
        {
            return CallVerdict.GoOn;
        }
        if (!_access.AreThere)
        {
            return CallVerdict.Fail(ENOENT);
        }
        if ((flags & O_DIRECTORY) != 0 || node == DeviceNode.NotDirectory)
        {
            return CallVerdict.Fail(ENOTDIR);
        }
        if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
        {
            return CallVerdict.Fail(EEXIST);
        }
        if ((flags & O_PATH) == 0 && !_access.Allows(node, thread.Tid, AccessOf(flags)))
        {
            return CallVerdict.Fail(EACCES);
        }
        if (thread.Space.VdsoBase == 0)
        {
            return CallVerdict.GoOn; // no place for injected calls: the program finds the machine as it is
        }
        bool isProvision = node is DeviceNode.Provision or DeviceNode.ProvisionV22;
        if (!isProvision && HandOver.IsDue(thread))
        {
            return CallVerdict.ForAnotherTracer;
        }
        ulong data = _image.DataArea(thread.Space);
        regs.OrigRax = SYS_memfd_create;
        regs.Rdi = isProvision ? VdsoData.ProvisionNameAddress(data) : VdsoData.EnclaveNameAddress(data);
        thread.CallOpenFlags = flags & (O_ACCMODE | O_CLOEXEC | O_PATH);
        regs.Rsi = (ulong)(_memfdFlags | ((flags & O_CLOEXEC) != 0 ? MFD_CLOEXEC : 0));
        thread.CallDevice = node;
        return CallVerdict.ChangedWatchEnd(PendingCall.OpenDevice);
    }

    internal void OnOpenEnd(TracedThread thread, ref UserRegs regs)
    {
        ref readonly UserRegs call = ref thread.CallRegs;
        (regs.Rdi, regs.Rsi) = (call.Rdi, call.Rsi);
        long result = (long)regs.Rax;
        InjectedCalls calls = InjectedCalls.Begin(thread, _image.Gadget(thread.Space), regs);
        try
        {
            if (result >= 0)
            {
                int errno = CompleteOpen(thread, calls, (int)result);
                if (errno != 0)
                {
                    _ = calls.Call(SYS_close, (ulong)result);
                    calls.Registers.Rax = (ulong)-(long)errno;
                }
            }
        }
        finally
        {
            calls.Dispose();
        }
    }

    internal CallVerdict OnStat(TracedThread thread, in UserRegs regs)
    {
        bool isStatx = regs.OrigRax == SYS_statx;
        (int directory, ulong path, ulong buffer, int flags) = (int)regs.OrigRax switch
        {
            SYS_newfstatat => ((int)regs.Rdi, regs.Rsi, regs.Rdx, (int)regs.R10),
            SYS_statx => ((int)regs.Rdi, regs.Rsi, regs.R8, (int)regs.Rdx),
            SYS_fstat => ((int)regs.Rdi, 0UL, regs.Rsi, AT_EMPTY_PATH),
            _ => (AT_FDCWD, regs.Rdi, regs.Rsi, 0),
        };
        DeviceNode node = Find(thread, directory, path);
        if (node == DeviceNode.None && (flags & AT_EMPTY_PATH) != 0)
        {
            node = OfDescriptor(thread.Tid, directory);
        }
        if (node == DeviceNode.None)
        {
            return CallVerdict.GoOn;
        }
        if (!_access.AreThere)
        {
            return CallVerdict.Fail(ENOENT);
        }
        if (node == DeviceNode.NotDirectory)
        {
            return CallVerdict.Fail(ENOTDIR);
        }
        Span<byte> result = stackalloc byte[isStatx ? DeviceStat.StatxSize : DeviceStat.StatSize];
        if (isStatx)
        {
            DeviceStat.FillX(node, _access.Of(node), result);
        }
        else
        {
            DeviceStat.Fill(node, _access.Of(node), result);
        }
        return thread.Space.TryWrite(buffer, result) ? CallVerdict.Return(0) : CallVerdict.Fail(EFAULT);
    }

    internal CallVerdict OnAccess(TracedThread thread, in UserRegs regs)
    {
        const int AT_EACCESS = 0x200;
        (int directory, ulong path, int mode) = regs.OrigRax == SYS_access ? (AT_FDCWD, regs.Rdi, (int)regs.Rsi) : ((int)regs.Rdi, regs.Rsi, (int)regs.Rdx);
        bool asReal = regs.OrigRax != SYS_faccessat2 || ((int)regs.R10 & AT_EACCESS) == 0;
        DeviceNode node = Find(thread, directory, path);
        return node == DeviceNode.None ? CallVerdict.GoOn
            : !_access.AreThere ? CallVerdict.Fail(ENOENT)
            : node == DeviceNode.NotDirectory ? CallVerdict.Fail(ENOTDIR)
            : (mode & ~7) != 0 ? CallVerdict.Fail(EINVAL)
            : _access.Allows(node, thread.Tid, (uint)mode, asReal) ? CallVerdict.Return(0)
            : CallVerdict.Fail(EACCES);
    }

    /// <summary>A device is no symbolic link.</summary>
    internal CallVerdict OnReadLink(TracedThread thread, in UserRegs regs)
    {
        (int directory, ulong path) = regs.OrigRax == SYS_readlink ? (AT_FDCWD, regs.Rdi) : ((int)regs.Rdi, regs.Rsi);
        return Find(thread, directory, path) == DeviceNode.None ? CallVerdict.GoOn : CallVerdict.Fail(_access.AreThere ? EINVAL : ENOENT);
    }

    /// <summary>A device has no extended attributes; ls -l asks.</summary>
    internal CallVerdict OnExtendedAttributes(TracedThread thread, in UserRegs regs) =>
        Find(thread, AT_FDCWD, regs.Rdi) == DeviceNode.None ? CallVerdict.GoOn
        : !_access.AreThere ? CallVerdict.Fail(ENOENT)
        : regs.OrigRax is SYS_getxattr or SYS_lgetxattr ? CallVerdict.Fail(ENODATA)
        : CallVerdict.Return(0);

    internal CallVerdict OnIoctl(TracedThread thread, in UserRegs regs)
    {
        if (!_devices.Any || !FileIdentity.TryOf(thread.Tid, (int)regs.Rdi, out FileIdentity file))
        {
            return CallVerdict.GoOn;
        }
        if (IsPathOnly(thread.Tid, (int)regs.Rdi))
        {
            return CallVerdict.Fail(EBADF);
        }
        if (!_devices.TryFind(file, out OpenEnclave? owner))
        {
            return _devices.IsProvision(file) ? CallVerdict.Fail(ENOTTY) : CallVerdict.GoOn;
        }
        bool wasCreated = owner.Enclave.IsCreated, wasInitialized = owner.Enclave.IsInitialized, wasOutOfReach = owner.Enclave.IsOutOfReach;
        if (wasInitialized)
        {
            _monitor?.Withdraw(owner); // what follows may change what EENTER would do, or ask who is inside
        }
        _trace?.BeginIoctl(thread, regs, owner.Enclave);
        ProcessFiles files = thread.Tracer.Files;
        files.Tid = thread.Tid;
        owner.Calls++;
        Errno errno;
        using (_lock.Leave()) // it may take long: meanwhile other tracers answer their processes
        {
            errno = owner.Enclave.Ioctl((uint)regs.Rsi, regs.Rdx, thread.Space, files, thread.Processor);
        }
        owner.Calls--;
        CallTrace.EndIoctl(thread, regs, owner.Enclave);
        if (wasInitialized != owner.Enclave.IsInitialized)
        {
            thread.Space.Paging?.Closure.IsClosed = null; // now there is something to close
        }
        bool isNew = wasCreated != owner.Enclave.IsCreated;
        bool settle = ((isNew || wasInitialized != owner.Enclave.IsInitialized || wasOutOfReach != owner.Enclave.IsOutOfReach)
                && MemoryCalls.NeedsSettling(thread.Space, owner))
            || (isNew && thread.Space.Paging is { AgeingIsDecided: false })
            || (_monitor is not null && wasInitialized != owner.Enclave.IsInitialized && thread.Space.Enclaves.Has(owner));
        thread.CallEnclave = settle ? owner : null;
        return CallVerdict.Return(Result(errno), settle ? PendingCall.SettleMappings : PendingCall.None);
    }

    /// <summary>A character device has no size: ftruncate is EINVAL, fallocate ENODEV (fs/open.c).</summary>
    internal CallVerdict OnResize(TracedThread thread, in UserRegs regs)
    {
        const ulong KnownModes = 0x7b; // linux/falloc.h; the kernel refuses others whatever the file is
        int fd = (int)regs.Rdi;
        bool isAllocation = regs.OrigRax == SYS_fallocate;
        if (OfDescriptor(thread.Tid, fd) == DeviceNode.None || (isAllocation && (regs.Rsi & uint.MaxValue & ~KnownModes) != 0))
        {
            return CallVerdict.GoOn;
        }
        bool isEmpty = isAllocation && ((long)regs.Rdx < 0 || (long)regs.R10 <= 0);
        return IsPathOnly(thread.Tid, fd) ? CallVerdict.Fail(EBADF)
            : CallVerdict.Fail(isAllocation && !isEmpty ? ENODEV : EINVAL);
    }

    internal static CallVerdict OnSigAction(TracedThread thread, in UserRegs regs)
    {
        Span<KernelSigAction> action = new(ref thread.CallAction);
        return thread.Space.TryRead(regs.Rsi, System.Runtime.InteropServices.MemoryMarshal.AsBytes(action))
            ? CallVerdict.WatchEnd(PendingCall.SigAction)
            : CallVerdict.GoOn;
    }

    internal static void OnSigActionEnd(TracedThread thread, in UserRegs regs)
    {
        int signal = (int)thread.CallRegs.Rdi;
        if (regs.Rax == 0 && SignalDispositions.IsKept(signal))
        {
            thread.Dispositions[signal] = thread.CallAction;
        }
    }

    /// <summary>A positive value is the SGX error code that the 2019 interface returns; the errors are negative.</summary>
    private static long Result(Errno errno) => -(long)errno;

    private DeviceNode Find(TracedThread thread, int directory, ulong path) => Find(thread, directory, path, out _);

    /// <summary>The device that a path names; the path is then in <see cref="_path"/>, of no length if it could not be read.</summary>
    private DeviceNode Find(TracedThread thread, int directory, ulong path, out int length)
    {
        length = path == 0 ? 0 : Math.Max(thread.Space.Memory.ReadString(path, _path), 0);
        return length == 0 ? DeviceNode.None : DevicePaths.Find(thread.Tid, directory, _path.AsSpan(0, length));
    }

    private DeviceNode OfDescriptor(int tid, int fd) =>
        !_devices.Any || !FileIdentity.TryOf(tid, fd, out FileIdentity file) ? DeviceNode.None
        : _devices.TryFind(file, out OpenEnclave? enclave) ? (enclave.Enclave.Abi == DeviceAbi.V22 ? DeviceNode.EnclaveV22 : DeviceNode.Enclave)
        : _devices.IsProvision(file) ? DeviceNode.Provision
        : DeviceNode.None;

    private static bool TryReadOpenFlags(TracedThread thread, in UserRegs regs, out int flags)
    {
        switch ((int)regs.OrigRax)
        {
            case SYS_creat:
                flags = O_CREAT;
                return true;
            case SYS_openat2:
                bool ok = thread.Space.Memory.TryReadUInt64(regs.Rdx, out ulong how); // struct open_how begins with the flags
                flags = (int)how;
                return ok;
            default:
                flags = (int)(regs.OrigRax == SYS_open ? regs.Rsi : regs.Rdx);
                return true;
        }
    }

    /// <summary>What an open asks for: O_RDONLY reading, O_WRONLY writing, O_RDWR both, and so does 3 (ACC_MODE in linux/fs.h).</summary>
    private static uint AccessOf(int flags)
    {
        const uint Read = 4, Write = 2;
        return (flags & O_ACCMODE) switch
        {
            O_RDONLY => Read,
            1 => Write,
            _ => Read | Write,
        };
    }

    /// <summary>Makes the fresh memfd at <paramref name="fd"/> a device; zero or the errno for the program.</summary>
    private int CompleteOpen(TracedThread thread, in InjectedCalls calls, int fd)
    {
        AddressSpace space = thread.Space;
        if (!space.HasEnclaveFilter)
        {
            long result = calls.Call(
                SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, VdsoData.FilterAddress(_image.DataArea(space)));
            space.HasEnclaveFilter = result == 0;
            if (result != 0)
            {
                _warn($"the program cannot be watched for changes of its address space (seccomp: {result}); enclave mappings may be wrong");
            }
        }
        if (thread.CallDevice is DeviceNode.Provision or DeviceNode.ProvisionV22)
        {
            if (!FileIdentity.TryOf(thread.Tid, fd, out FileIdentity identity))
            {
                return EIO;
            }
            _devices.AddProvision(identity);
            _ = Reopen(thread, calls, fd);
            return 0;
        }
        if (space.Paging is null)
        {
            int errno = _paging.Prepare(thread, calls);
            if (errno is EMFILE or ENFILE)
            {
                return errno;
            }
            if (errno is EBADF or ENOTTY)
            {
                return EIO; // another thread of the program closed or replaced the descriptor meanwhile
            }
            if (errno != 0)
            {
                _warn(errno == EINVAL
                    ? "no SGX device for this program: this kernel's userfaultfd cannot write-protect shared memory; that needs Linux 5.19 with CONFIG_PTE_MARKER_UFFD_WP"
                    : $"no SGX device for this program: userfaultfd fails (errno {errno}). In a container, allow it in the seccomp profile; kernels need CONFIG_USERFAULTFD and version 5.19");
                return ENODEV;
            }
        }
        int reopened = Reopen(thread, calls, fd);
        if (reopened is EMFILE or ENFILE)
        {
            return reopened;
        }
        if (reopened == ENOENT && _image.HasDescriptorFiles(thread, calls))
        {
            return EIO; // another thread of the program closed the descriptor meanwhile
        }
        bool isCounted = reopened == 0 && (thread.CallOpenFlags & O_ACCMODE) != O_RDONLY;
        _devices.ReleaseUnreferenced();
        EnclaveInode? inode = EnclaveInode.Open(_platform, thread.Tid, fd, isCounted);
        if (inode is null || _devices.TryFind(inode.Identity, out _))
        {
            inode?.Dispose(); // another thread of the program closed or replaced the descriptor meanwhile
            return EIO;
        }
        if (reopened != 0 && calls.IsAlive)
        {
            _warn($"the program cannot open its files by /proc/self/fd (errno {reopened}): its enclaves are released only when it ends");
        }
        if (NoticeAtFirstEnclave is string notice)
        {
            _warn(notice);
            NoticeAtFirstEnclave = null;
        }
        DeviceAbi abi = thread.CallDevice == DeviceNode.EnclaveV22 ? DeviceAbi.V22 : DeviceAbi.Mainline;
        _devices.Add(new OpenEnclave(_subsystem.Device.Open(inode, abi), inode));
        return 0;
    }

    /// <summary>Replaces the open file behind a memfd by one that open(2) made, with the access mode that the program asked for.</summary>
    /// <remarks>
    /// The file of memfd_create itself is not counted among the inode's writers, so a lease would not see it
    /// (<see cref="EnclaveInode.IsReferencedByProgram"/>). One that is opened through /proc for writing is.
    /// </remarks>
    /// <returns>Zero, or the errno: then the inode's count of writers does not tell about the program's references.</returns>
    private int Reopen(TracedThread thread, in InjectedCalls calls, int fd)
    {
        long reopened = _image.Reopen(thread, calls, (ulong)fd, thread.CallOpenFlags);
        if (reopened < 0)
        {
            return (int)-reopened;
        }
        _ = calls.Call(SYS_dup3, (ulong)reopened, (ulong)fd, (ulong)(thread.CallOpenFlags & O_CLOEXEC));
        _ = calls.Call(SYS_close, (ulong)reopened);
        return 0;
    }

    /// <summary>True for a descriptor opened with O_PATH, which names a file without opening it.</summary>
    internal static unsafe bool IsPathOnly(int tid, int fd)
    {
        byte* stat = stackalloc byte[DeviceStat.StatSize];
        fixed (byte* path = ProcPath.OfDescriptor(tid, fd))
        {
            // The link's own mode shows the file's access mode: neither read nor write for O_PATH (proc(5)).
            const int OwnerReadWrite = 0x180, ModeOffset = 24;
            return Libc.Syscall(SYS_newfstatat, AT_FDCWD, (nint)path, (nint)stat, AT_SYMLINK_NOFOLLOW) == 0
                && (*(int*)(stat + ModeOffset) & OwnerReadWrite) == 0;
        }
    }

    /// <summary>MFD_EXEC came with Linux 6.3, which also warns when it is missing; older kernels refuse it.</summary>
    private static unsafe int MemfdFlags()
    {
        fixed (byte* name = "softsgx-probe\0"u8)
        {
            nint fd = Libc.Syscall(SYS_memfd_create, (nint)name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
            if (fd < 0)
            {
                return MFD_ALLOW_SEALING;
            }
            _ = Libc.Close((int)fd);
            return MFD_ALLOW_SEALING | MFD_EXEC;
        }
    }
}
