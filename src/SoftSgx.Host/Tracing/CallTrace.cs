using System.Text;
using SoftSgx.Architecture;
using SoftSgx.Host.Devices;
using SoftSgx.Host.Enclaves;
using SoftSgx.Host.Ptrace;
using SoftSgx.Host.Supervision;
using SoftSgx.Kernel;
using SoftSgx.Kernel.Tracing;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Tracing;

/// <summary>The events of system calls that concern a device or enclave memory: made when the call is decided, taken when it has ended.</summary>
internal sealed class CallTrace
{
    private static readonly (ulong Bit, string Name)[] s_protections = [(PROT_READ, "PROT_READ"), (PROT_WRITE, "PROT_WRITE"), (PROT_EXEC, "PROT_EXEC")];

    private static readonly (ulong Bit, string Name)[] s_mapFlags =
    [
        (MAP_SHARED_VALIDATE, "MAP_SHARED_VALIDATE"), (MAP_SHARED, "MAP_SHARED"), (MAP_PRIVATE, "MAP_PRIVATE"), (MAP_FIXED, "MAP_FIXED"),
        (MAP_ANONYMOUS, "MAP_ANONYMOUS"), (MAP_NORESERVE, "MAP_NORESERVE"), (MAP_FIXED_NOREPLACE, "MAP_FIXED_NOREPLACE"),
    ];

    private static readonly (ulong Bit, string Name)[] s_openFlags =
    [
        (O_CREAT, "O_CREAT"), (O_EXCL, "O_EXCL"), (O_NONBLOCK, "O_NONBLOCK"), (O_DIRECTORY, "O_DIRECTORY"), (O_CLOEXEC, "O_CLOEXEC"), (O_PATH, "O_PATH"),
    ];

    private readonly ITrace _trace;
    private readonly byte[] _path = new byte[DevicePaths.MaximumPath];

    internal CallTrace(ITrace trace) => _trace = trace;

    /// <summary>An ioctl on an enclave device is about to be executed.</summary>
    internal void BeginIoctl(TracedThread thread, in UserRegs regs, Enclave enclave)
    {
        if (!_trace.Wants(TraceKinds.Call))
        {
            return;
        }
        TraceEvent e = Ioctl(regs, enclave.Abi, out IoctlEntry? entry);
        if (entry is not null)
        {
            e.Part = TracePart.Member;
            entry.DescribeRequest(e, regs.Rdx, thread.Space);
        }
        else
        {
            e.Add("argument", regs.Rdx, null);
        }
        thread.TracedCall = e;
    }

    /// <summary>It was executed.</summary>
    internal static void EndIoctl(TracedThread thread, in UserRegs regs, Enclave enclave)
    {
        if (thread.TracedCall is TraceEvent e)
        {
            e.Part = TracePart.Result;
            IoctlTable.Find((uint)regs.Rsi, enclave.Abi)?.DescribeAnswer(e, regs.Rdx, thread.Space);
        }
    }

    /// <summary>A call was decided: takes it if it does not reach the kernel, or keeps it until its end.</summary>
    internal void OnDecided(TracedThread thread, CallVerdict verdict)
    {
        if (!_trace.Wants(TraceKinds.Call))
        {
            return;
        }
        ref readonly UserRegs regs = ref thread.CallRegs;
        if (verdict.Pending == PendingCall.RemoteMemory)
        {
            thread.TracedCall = Describe(thread, regs); // the result comes later
        }
        else if (verdict.Skip)
        {
            if ((thread.TracedCall ?? Describe(thread, regs)) is TraceEvent e)
            {
                Write(thread, e, regs, verdict.Result);
            }
        }
        else if (IsOurs(thread, verdict.Pending, regs))
        {
            thread.TracedCall = Describe(thread, regs);
        }
    }

    /// <summary>A call that was kept has ended.</summary>
    internal void OnEnded(TracedThread thread)
    {
        if (thread.TracedCall is TraceEvent e && thread.Ended is null && PtraceCalls.GetRegs(thread.Tid, out UserRegs regs))
        {
            Write(thread, e, thread.CallRegs, (long)regs.Rax);
        }
    }

    /// <summary>A thread has ended, perhaps in the middle of a call.</summary>
    internal void OnThreadEnded(TracedThread thread)
    {
        if (thread.TracedCall is TraceEvent e)
        {
            thread.TracedCall = null;
            _trace.Write(e);
        }
    }

    private void Write(TracedThread thread, TraceEvent e, in UserRegs regs, long result)
    {
        thread.TracedCall = null;
        bool failed = MemoryCalls.IsError((ulong)result);
        // The 2019 interface returns the SGX error codes of EINIT.
        string? error = failed ? ErrnoNames.Of(-result) : regs.OrigRax == SYS_ioctl && result > 0 ? TraceNames.Of((SgxError)result) : null;
        e.Return(failed ? -1 : result, error);
        if (!failed && regs.OrigRax == SYS_mmap && thread.Space.Enclaves.TryFind((ulong)result, out EnclaveMapping mapping))
        {
            Enclave enclave = mapping.Owner.Enclave;
            if (enclave.IsCreated && (ulong)result - enclave.Base < enclave.Size)
            {
                e.Add("enclave", enclave.Number).Add("enclaveOffset", (ulong)result - enclave.Base);
            }
        }
        _trace.Write(e);
    }

    /// <summary>Whether a call that the kernel executes concerns a device or enclave memory.</summary>
    private static bool IsOurs(TracedThread thread, PendingCall pending, in UserRegs regs)
    {
        switch (pending)
        {
            case PendingCall.OpenDevice or PendingCall.MapDevice:
                return true;
            case PendingCall.Map or PendingCall.Unmap or PendingCall.Remap when thread.WithdrawnMappings.Length > 0:
                return true;
            case PendingCall.Map or PendingCall.Protect:
                return Overlaps(thread.Space, regs.Rdi, regs.Rsi);
            default:
                return false;
        }
    }

    private static bool Overlaps(AddressSpace space, ulong start, ulong length) =>
        length > 0 && start + length > start && space.Enclaves.Overlaps(start, start + length);

    private TraceEvent? Describe(TracedThread thread, in UserRegs regs)
    {
        switch ((int)regs.OrigRax)
        {
            case SYS_open:
                return AddOpenFlags(Path(thread, "open", regs.Rdi), regs.Rsi);
            case SYS_creat:
                return Path(thread, "creat", regs.Rdi);
            case SYS_openat:
                return AddOpenFlags(PathAt(thread, "openat", regs), regs.Rdx);
            case SYS_openat2:
                _ = thread.Space.Memory.TryReadUInt64(regs.Rdx, out ulong how); // struct open_how begins with the flags
                return AddOpenFlags(PathAt(thread, "openat2", regs), how);
            case SYS_stat:
                return Path(thread, "stat", regs.Rdi);
            case SYS_lstat:
                return Path(thread, "lstat", regs.Rdi);
            case SYS_fstat:
                return New("fstat").Add("fd", (int)regs.Rdi);
            case SYS_newfstatat:
                return PathAt(thread, "newfstatat", regs);
            case SYS_statx:
                return PathAt(thread, "statx", regs);
            case SYS_access:
                return Path(thread, "access", regs.Rdi).Add("mode", regs.Rsi);
            case SYS_faccessat or SYS_faccessat2:
                return PathAt(thread, regs.OrigRax == SYS_faccessat ? "faccessat" : "faccessat2", regs).Add("mode", regs.Rdx);
            case SYS_readlink:
                return Path(thread, "readlink", regs.Rdi);
            case SYS_readlinkat:
                return PathAt(thread, "readlinkat", regs);
            case SYS_getxattr or SYS_lgetxattr or SYS_listxattr or SYS_llistxattr:
                return Path(thread, AttributeCall((int)regs.OrigRax), regs.Rdi);
            case SYS_ftruncate or SYS_fallocate:
                return New(regs.OrigRax == SYS_ftruncate ? "ftruncate" : "fallocate").Add("fd", (int)regs.Rdi);
            case SYS_process_vm_readv or SYS_process_vm_writev:
                return New(regs.OrigRax == SYS_process_vm_readv ? "process_vm_readv" : "process_vm_writev").Add("pid", (int)regs.Rdi);
            case SYS_read or SYS_write or SYS_readv or SYS_writev:
                return New(TransferCall((int)regs.OrigRax)).Add("fd", (int)regs.Rdi);
            case SYS_pread64 or SYS_pwrite64 or SYS_preadv or SYS_pwritev or SYS_preadv2 or SYS_pwritev2:
                return New(TransferCall((int)regs.OrigRax)).Add("fd", (int)regs.Rdi).Add("position", regs.R10);
            case SYS_ioctl:
                return Ioctl(regs, DeviceAbi.Mainline, out _).Add("argument", regs.Rdx, null);
            case SYS_mmap:
                return New("mmap", returnsAddress: true).Add("address", regs.Rdi, EnclaveAt(thread, regs.Rdi)).Add("length", regs.Rsi)
                    .Add("protection", Protection(regs.Rdx)).Add("flags", TraceNames.Join(regs.R10, s_mapFlags)).Add("fd", (int)regs.R8)
                    .Add("offset", regs.R9);
            case SYS_munmap:
                return Range(thread, "munmap", regs);
            case SYS_mprotect:
                return Range(thread, "mprotect", regs).Add("protection", Protection(regs.Rdx));
            case SYS_pkey_mprotect:
                return Range(thread, "pkey_mprotect", regs).Add("protection", Protection(regs.Rdx)).Add("pkey", (int)regs.R10);
            case SYS_mremap:
                return New("mremap", returnsAddress: true).Add("address", regs.Rdi, EnclaveAt(thread, regs.Rdi)).Add("length", regs.Rsi)
                    .Add("newLength", regs.Rdx).Add("flags", regs.R10).Add("newAddress", regs.R8, EnclaveAt(thread, regs.R8));
            default:
                return null;
        }
    }

    private static TraceEvent New(string name, bool returnsAddress = false) =>
        new(TraceKinds.Call, name) { Part = TracePart.Operand, ReturnsAddress = returnsAddress };

    private static TraceEvent Ioctl(in UserRegs regs, DeviceAbi abi, out IoctlEntry? entry)
    {
        uint command = (uint)regs.Rsi;
        entry = IoctlTable.Find(command, abi);
        TraceEvent e = New("ioctl").Add("fd", (int)regs.Rdi);
        return entry is null ? e.Add("command", command) : e.Add("command", entry.Name);
    }

    private static TraceEvent Range(TracedThread thread, string name, in UserRegs regs) =>
        New(name).Add("address", regs.Rdi, EnclaveAt(thread, regs.Rdi)).Add("length", regs.Rsi);

    private TraceEvent Path(TracedThread thread, string name, ulong path) => AddPath(New(name), thread, path);

    private TraceEvent PathAt(TracedThread thread, string name, in UserRegs regs)
    {
        TraceEvent e = New(name);
        _ = (int)regs.Rdi == AT_FDCWD ? e.Add("directory", "AT_FDCWD") : e.Add("directory", (int)regs.Rdi);
        return AddPath(e, thread, regs.Rsi);
    }

    private TraceEvent AddPath(TraceEvent e, TracedThread thread, ulong path)
    {
        int length = thread.Space.Memory.ReadString(path, _path);
        return length > 0 ? e.Add("path", Encoding.UTF8.GetString(_path, 0, length), TraceFormat.Quoted) : e.Add("path", path, null);
    }

    private static TraceEvent AddOpenFlags(TraceEvent e, ulong flags)
    {
        string access = (flags & O_ACCMODE) switch { O_RDONLY => "O_RDONLY", 1 => "O_WRONLY", O_RDWR => "O_RDWR", _ => "O_ACCMODE" };
        ulong rest = flags & ~(ulong)O_ACCMODE;
        return e.Add("flags", rest == 0 ? access : $"{access}|{TraceNames.Join(rest, s_openFlags)}");
    }

    private static string Protection(ulong protection) => protection == PROT_NONE ? "PROT_NONE" : TraceNames.Join(protection, s_protections);

    private static string TransferCall(int number) => number switch
    {
        SYS_read => "read",
        SYS_write => "write",
        SYS_readv => "readv",
        SYS_writev => "writev",
        SYS_pread64 => "pread64",
        SYS_pwrite64 => "pwrite64",
        SYS_preadv => "preadv",
        SYS_pwritev => "pwritev",
        SYS_preadv2 => "preadv2",
        _ => "pwritev2",
    };

    private static string AttributeCall(int number) => number switch
    {
        SYS_getxattr => "getxattr",
        SYS_lgetxattr => "lgetxattr",
        SYS_listxattr => "listxattr",
        _ => "llistxattr",
    };

    private static Enclave? EnclaveAt(TracedThread thread, ulong address)
    {
        foreach (EnclaveMapping withdrawn in thread.WithdrawnMappings)
        {
            if (address >= withdrawn.Start && address < withdrawn.End)
            {
                return withdrawn.Owner.Enclave; // the call under way takes it away
            }
        }
        return thread.Space.Enclaves.TryFind(address, out EnclaveMapping mapping) ? mapping.Owner.Enclave : null;
    }
}
