using SoftSgx.Architecture;
using SoftSgx.Host.Enclaves;
using SoftSgx.Host.Memory;
using SoftSgx.Host.Monitor;
using SoftSgx.Host.Ptrace;
using SoftSgx.Host.Seccomp;
using SoftSgx.Kernel;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Supervision;

/// <summary>
/// /proc/PID/mem in the hands of a program: what of it is enclave memory is the driver's to give (<see cref="Enclave.Access"/>), by EDBGRD
/// and EDBGWR of debug enclaves only.
/// </summary>
/// <remarks>
/// Opening one adds a filter by which reads and writes of that descriptor stop, and calls that duplicate it. One that touches no
/// enclave memory goes on natively; of the others the supervisor does all, as mem_rw does (fs/proc/base.c): pieces of up to a page from the
/// position on, each by access_remote_vm.
/// </remarks>
internal sealed class MemoryFileCalls(SupervisedProcesses processes, ProgramImage image, ProgramMonitor? monitor, Action<string> warn)
{
    private readonly byte[] _page = new byte[PageSize];

    /// <summary>The program's call made a descriptor that may be a process's memory.</summary>
    internal void OnNewDescriptor(TracedThread thread, in UserRegs regs)
    {
        long fd = (long)regs.Rax;
        if (fd is >= 0 and <= int.MaxValue && Whose(thread, (int)fd) is not null)
        {
            Watch(thread, (int)fd, regs);
        }
    }

    /// <summary>True for a call on a descriptor that one of our filters stops.</summary>
    internal static bool IsWatched(TracedThread thread, in UserRegs regs) => thread.Watched.Contains((int)regs.Rdi);

    /// <summary>dup, dup2, dup3, F_DUPFD.</summary>
    internal static CallVerdict OnDuplicate(TracedThread thread, in UserRegs regs) =>
        MemoryFile.NamedBy(thread.Tid, (int)regs.Rdi) != 0 ? CallVerdict.WatchEnd(PendingCall.NewDescriptor) : CallVerdict.GoOn;

    /// <summary>A call of the read or write family on a watched descriptor.</summary>
    internal CallVerdict OnTransfer(TracedThread thread, in UserRegs regs)
    {
        int fd = (int)regs.Rdi;
        if (Whose(thread, fd) is not AddressSpace space || space.Enclaves.Count == 0)
        {
            return CallVerdict.GoOn;
        }
        bool isWrite = (int)regs.OrigRax is SYS_write or SYS_pwrite64 or SYS_writev or SYS_pwritev or SYS_pwritev2;
        if (Pieces(thread, regs) is not UserPiece[] pieces || !TryFindPosition(regs, out ulong? given))
        {
            return CallVerdict.GoOn; // the kernel has an error to tell, or nothing to do
        }
        using MemoryFile? file = MemoryFile.TakeOver(thread.Tid, fd);
        if (file is null || !file.Allows(isWrite))
        {
            return CallVerdict.GoOn;
        }
        ulong position = given ?? file.Position;
        ulong total = 0;
        foreach (UserPiece piece in pieces)
        {
            total = Math.Min(total + piece.Length, MAX_RW_COUNT);
        }
        if (position > TASK_SIZE || !space.Enclaves.Overlaps(position, position + total) || !file.IsAlive(space.VdsoBase))
        {
            return CallVerdict.GoOn;
        }
        Exclude(space, position, position + total);
        long result = 0;
        foreach (UserPiece piece in pieces)
        {
            UserPiece part = piece with { Length = Math.Min(piece.Length, total) };
            long done = Transfer(thread.Space, part, space, file, isWrite, ref position);
            result = done < 0 && result == 0 ? done : result + Math.Max(done, 0);
            total -= part.Length;
            if (done != (long)part.Length || total == 0)
            {
                break; // do_loop_readv_writev, fs/read_write.c
            }
        }
        if (given is null && result >= 0)
        {
            file.Position = position;
        }
        return CallVerdict.Return(result);
    }

    /// <summary>Brings the enclaves in a range, those that a debugger may look into, to what the model and the manual know.</summary>
    private void Exclude(AddressSpace space, ulong start, ulong end)
    {
        EnclaveMappings mappings = space.Enclaves;
        for (int i = mappings.FirstEndingAfter(start); i < mappings.Count && mappings[i].Start < end; i++)
        {
            OpenEnclave owner = mappings[i].Owner;
            if ((owner.Enclave.Attributes & AttributeFlags.DEBUG) != 0)
            {
                monitor?.Exclude(owner);
            }
        }
    }

    /// <summary>mem_rw, fs/proc/base.c: the count, or minus an errno.</summary>
    private long Transfer(AddressSpace caller, UserPiece buffer, AddressSpace space, MemoryFile file, bool isWrite, ref ulong position)
    {
        ulong copied = 0;
        while (copied < buffer.Length)
        {
            Span<byte> page = _page.AsSpan(0, (int)Math.Min(buffer.Length - copied, PageSize));
            if (isWrite && !caller.TryRead(buffer.Base + copied, page))
            {
                return -EFAULT;
            }
            page = page[..AccessRemote(space, file, position, page, isWrite)];
            if (page.IsEmpty)
            {
                return copied == 0 ? -EIO : (long)copied;
            }
            if (!isWrite && !caller.TryWrite(buffer.Base + copied, page))
            {
                return -EFAULT;
            }
            copied += (ulong)page.Length;
            position += (ulong)page.Length;
        }
        return (long)copied;
    }

    /// <summary>
    /// access_remote_vm, mm/memory.c: up to the first byte that cannot be had. The driver is asked for all that is left, also where the
    /// mapping ends sooner, and gives all or nothing.
    /// </summary>
    private static int AccessRemote(AddressSpace space, MemoryFile file, ulong address, Span<byte> data, bool isWrite)
    {
        int done = 0;
        while (done < data.Length)
        {
            ulong at = address + (ulong)done;
            if (space.Enclaves.TryFind(at, out EnclaveMapping mapping))
            {
                bool isDone = mapping.Owner.Enclave.Access(at, data[done..], isWrite, mapping.Protection) == Errno.None;
                return isDone ? data.Length : done;
            }
            int next = space.Enclaves.FirstEndingAfter(at);
            ulong distance = next < space.Enclaves.Count ? space.Enclaves[next].Start - at : PageSize;
            int moved = file.Transfer(at, data.Slice(done, (int)Math.Min((ulong)(data.Length - done), distance)), isWrite);
            if (moved <= 0)
            {
                break;
            }
            done += moved;
        }
        return done;
    }

    /// <summary>The buffers of a call, none of which is empty; null if the kernel refuses them, or there is nothing to move.</summary>
    private static UserPiece[]? Pieces(TracedThread thread, in UserRegs regs)
    {
        if ((int)regs.OrigRax is SYS_read or SYS_write or SYS_pread64 or SYS_pwrite64)
        {
            UserPiece piece = new(regs.Rsi, regs.Rdx);
            return piece.Length == 0 || !UserVector.IsUserRange(piece) ? null : [piece];
        }
        UserPiece[]? pieces = UserVector.Read(thread.Space, regs.Rsi, regs.Rdx);
        pieces = pieces is null ? null : Array.FindAll(pieces, static piece => piece.Length != 0);
        return pieces is { Length: > 0 } ? pieces : null;
    }

    /// <summary>The position that a call names, null for the file's own; false if the kernel refuses it.</summary>
    private static bool TryFindPosition(in UserRegs regs, out ulong? position)
    {
        position = (int)regs.OrigRax is SYS_read or SYS_write or SYS_readv or SYS_writev ? null : regs.R10;
        if ((int)regs.OrigRax is SYS_preadv2 or SYS_pwritev2)
        {
            position = regs.R10 == ulong.MaxValue ? null : position;
            return ((uint)regs.R9 & ~(uint)RWF_HIPRI) == 0; // files without read_iter know no other flag
        }
        return true;
    }

    /// <summary>The supervised address space that a descriptor of a thread gives access to; null if it is none.</summary>
    private AddressSpace? Whose(TracedThread thread, int fd)
    {
        int id = MemoryFile.NamedBy(thread.Tid, fd);
        return id == 0 ? null : processes.Find(thread, id)?.Space;
    }

    private void Watch(TracedThread thread, int fd, in UserRegs regs)
    {
        WatchedDescriptors watched = thread.Watched;
        if (watched.Contains(fd) || thread.Space.VdsoBase == 0)
        {
            return;
        }
        int? one = watched.IsFull ? null : fd;
        byte[] filter = SeccompFilters.MemoryFile(one);
        using InjectedCalls calls = InjectedCalls.Begin(thread, image.Gadget(thread.Space), regs);
        if (image.AddFilter(thread.Space, calls, filter) is not long result)
        {
            return;
        }
        if (result == 0)
        {
            watched.Add(one);
        }
        else if (calls.IsAlive)
        {
            warn($"descriptor {fd} of the program, the memory of a process, cannot be watched (seccomp: {result}); "
                + "by it enclave memory can be reached as if it were ordinary memory");
        }
    }
}
