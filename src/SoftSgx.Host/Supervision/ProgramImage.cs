using System.Buffers.Binary;
using System.Buffers.Text;
using SoftSgx.Host.Interop;
using SoftSgx.Host.Memory;
using SoftSgx.Host.Ptrace;
using SoftSgx.Host.Seccomp;
using SoftSgx.Host.Vdso;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Supervision;

/// <summary>
/// Prepares a program at the end of its execve, before its first instruction: maps our vDSO image, points the auxiliary vector to
/// it, and replaces the CPUID instructions of the program and its interpreter.
/// </summary>
internal sealed class ProgramImage
{
    private static ReadOnlySpan<byte> SyscallInstruction => [0x0F, 0x05];

    private readonly VdsoImage _vdso;
    private readonly VdsoData _data = new();

    internal ProgramImage()
    {
        _vdso = VdsoImage.Build(OwnVdso(), VdsoData.Size);
    }

    internal VdsoImage Vdso => _vdso;

    internal ulong Gadget(AddressSpace space) => space.VdsoBase + (ulong)_vdso.SyscallGadgetOffset;

    internal ulong DataArea(AddressSpace space) => space.VdsoBase + (ulong)_vdso.DataOffset;

    /// <summary>Address of the code of a slot for redirected accesses.</summary>
    internal ulong AbortCode(AddressSpace space, int slot) => VdsoData.AbortCodeAddress(DataArea(space), slot);

    /// <summary>
    /// Opens a file again that a thread has open, by open(2) and with these flags; the new descriptor, which the program does not
    /// know, or minus the errno.
    /// </summary>
    internal long Reopen(TracedThread thread, in InjectedCalls calls, ulong fd, int flags)
    {
        ulong scratch = VdsoData.ScratchAddress(DataArea(thread.Space));
        Span<byte> path = stackalloc byte[32];
        path.Clear();
        "/proc/self/fd/"u8.CopyTo(path);
        Utf8Formatter.TryFormat((uint)fd, path[14..], out _);
        if (!thread.Space.Memory.Poke(scratch, path))
        {
            return -EFAULT;
        }
        // Another thread may have put a pipe there meanwhile, whose other end nobody has: no call may wait for that.
        long reopened = calls.Call(SYS_openat, unchecked((ulong)AT_FDCWD), scratch, (ulong)(flags | O_CLOEXEC | O_NONBLOCK));
        if (reopened >= 0)
        {
            _ = calls.Call(SYS_fcntl, (ulong)reopened, F_SETFL, 0);
        }
        return reopened;
    }

    /// <summary>True if the program has a /proc to open its files by.</summary>
    internal bool HasDescriptorFiles(TracedThread thread, in InjectedCalls calls)
    {
        ulong scratch = VdsoData.ScratchAddress(DataArea(thread.Space));
        return thread.Space.Memory.Poke(scratch, "/proc/self/fd\0"u8) && calls.Call(SYS_access, scratch, 0) == 0;
    }

    /// <summary>
    /// Adds a filter to all threads of a process: zero, a thread that cannot have it, or minus the errno; null if it has no place in the program.
    /// </summary>
    internal long? AddFilter(AddressSpace space, in InjectedCalls calls, ReadOnlySpan<byte> filter)
    {
        const int Header = 16; // struct sock_fprog: length, padding, pointer; and the program behind it
        ulong scratch = VdsoData.ScratchAddress(DataArea(space));
        byte[] bytes = new byte[Header + filter.Length];
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, (ushort)(filter.Length / BpfAssembler.InstructionSize));
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(8), scratch + Header);
        filter.CopyTo(bytes.AsSpan(Header));
        return space.Memory.Poke(scratch, bytes) ? calls.Call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, scratch) : null;
    }

    /// <summary>The address space of a thread before anything is prepared in it, or of a program that is not 64-bit.</summary>
    internal static AddressSpace Unprepared(int tid) => new(TraceeMemory.Open(tid));

    /// <summary>
    /// Makes the address space of a thread that just execed. In a program that is not 64-bit nothing is prepared, and
    /// <see cref="TracedThread.IsForeign"/> is set.
    /// </summary>
    internal AddressSpace Prepare(TracedThread thread)
    {
        TraceeMemory memory = TraceeMemory.Open(thread.Tid);
        ulong image = 0;
        if (PtraceCalls.GetRegs(thread.Tid, out UserRegs regs))
        {
            thread.IsForeign = regs.Cs == UserRegs.User32Cs;
            ulong slot = 0, realVdso = 0;
            if (!thread.IsForeign)
            {
                slot = FindVdsoEntry(memory, regs.Rsp, out realVdso);
            }
            image = slot != 0 ? Map(thread, memory, regs, realVdso) : 0;
            if (image != 0)
            {
                memory.Poke(slot, BitConverter.GetBytes(image));
            }
        }
        AddressSpace space = new(memory) { VdsoBase = image };
        if (!thread.IsForeign)
        {
            PatchMappedCode(space);
        }
        return space;
    }

    /// <summary>Replaces the CPUID instructions of everything executable that is mapped from a file.</summary>
    private static void PatchMappedCode(AddressSpace space)
    {
        foreach (MapsEntry entry in MemoryMap.Read(space.Tid))
        {
            if (entry.IsExecutable && entry.HasInode)
            {
                bool isKnown = FileVersion.TryOf(space.Tid, entry.Path, out FileVersion file) && file.Inode == entry.Inode;
                CpuidPatcher.PatchNew(space, isKnown ? entry with { File = file } : entry);
            }
        }
    }

    /// <summary>Finds AT_SYSINFO_EHDR in the auxiliary vector above the environment; the address of its value, zero if there is none.</summary>
    private static ulong FindVdsoEntry(TraceeMemory memory, ulong stack, out ulong realVdso)
    {
        realVdso = 0;
        if (!memory.TryReadUInt64(stack, out ulong argumentCount))
        {
            return 0;
        }
        // The kernel bounds arguments and environment together by a few MiB; a walk beyond that follows no real stack.
        const int MaximumWords = 1 << 22;
        Span<ulong> words = stackalloc ulong[256];
        ulong address = stack + (8 * (argumentCount + 2));
        bool inEnvironment = true;
        for (int walked = 0; walked < MaximumWords;)
        {
            int bytes = memory.ReadSome(address, System.Runtime.InteropServices.MemoryMarshal.AsBytes(words));
            int count = bytes / 16 * 2;
            if (count == 0)
            {
                return 0;
            }
            int i = 0;
            if (inEnvironment)
            {
                int end = words[..count].IndexOf(0UL);
                if (end < 0)
                {
                    address += (ulong)count * 8;
                    walked += count;
                    continue;
                }
                inEnvironment = false;
                address += (ulong)(end + 1) * 8;
                walked += end + 1;
                continue;
            }
            for (; i < count; i += 2)
            {
                if (words[i] == AT_SYSINFO_EHDR)
                {
                    realVdso = words[i + 1];
                    return address + ((ulong)(i + 1) * 8);
                }
                if (words[i] == 0)
                {
                    return 0;
                }
            }
            address += (ulong)count * 8;
            walked += count;
        }
        return 0;
    }

    /// <summary>Maps the image; its address, or zero.</summary>
    private ulong Map(TracedThread thread, TraceeMemory memory, in UserRegs regs, ulong realVdso)
    {
        // No gadget is in the program yet: borrow two bytes at its entry point for one system call.
        Span<byte> original = stackalloc byte[2];
        if (!memory.Peek(regs.Rip, original) || !memory.Poke(regs.Rip, SyscallInstruction))
        {
            return 0;
        }
        long address;
        using (InjectedCalls calls = InjectedCalls.Begin(thread, regs.Rip, regs))
        {
            address = calls.Call(SYS_mmap, 0, (ulong)_vdso.Size, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, ulong.MaxValue, 0);
        }
        memory.Poke(regs.Rip, original);
        if (address is < 0 and > -4096)
        {
            return 0;
        }
        byte[] bytes = _vdso.Relocate(realVdso);
        _data.Fill(bytes.AsSpan(_vdso.DataOffset, _vdso.DataSize), (ulong)address + (ulong)_vdso.DataOffset);
        return memory.Poke((ulong)address, bytes) ? (ulong)address : 0;
    }

    private static unsafe ReadOnlySpan<byte> OwnVdso()
    {
        byte* image = (byte*)Libc.GetAuxVal(AT_SYSINFO_EHDR);
        if (image == null)
        {
            throw new HostException("this kernel gives programs no vDSO (boot option vdso=0?); SoftSGX needs it to offer __vdso_sgx_enter_enclave");
        }
        // The mapping's extent is not in the image's headers; /proc/self/maps has it.
        foreach (MapsEntry entry in MemoryMap.Read(Libc.GetPid()))
        {
            if (entry.Start == (ulong)image)
            {
                return new ReadOnlySpan<byte>(image, (int)(entry.End - entry.Start));
            }
        }
        throw new HostException("the vDSO is not to be found in /proc/self/maps; is /proc mounted?");
    }
}
