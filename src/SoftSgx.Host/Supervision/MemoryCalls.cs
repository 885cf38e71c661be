using SoftSgx.Host.Devices;
using SoftSgx.Host.Enclaves;
using SoftSgx.Host.Interop;
using SoftSgx.Host.Memory;
using SoftSgx.Host.Monitor;
using SoftSgx.Host.Paging;
using SoftSgx.Host.Ptrace;
using SoftSgx.Kernel;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Supervision;

/// <summary>mmap, munmap, mprotect and mremap of a program: the rules of the SGX driver, and watching for new code.</summary>
internal sealed class MemoryCalls
{
    private readonly OpenDevices _devices;
    private readonly ProgramImage _image;
    private readonly ProgramPaging _paging;
    private readonly ProgramMonitor? _monitor;

    internal MemoryCalls(OpenDevices devices, ProgramImage image, ProgramPaging paging, ProgramMonitor? monitor)
    {
        _monitor = monitor;
        _paging = paging;
        _devices = devices;
        _image = image;
    }

    internal CallVerdict OnMap(TracedThread thread, ref UserRegs regs)
    {
        AddressSpace space = thread.Space;
        space.MappingsChanged();
        int flags = (int)regs.R10;
        bool isFile = (flags & MAP_ANONYMOUS) == 0;
        if (isFile && _devices.Any && FileIdentity.TryOf(thread.Tid, (int)regs.R8, out FileIdentity file))
        {
            bool isEnclave = _devices.TryFind(file, out OpenEnclave? enclave);
            if ((isEnclave || _devices.IsProvision(file)) && DeviceCalls.IsPathOnly(thread.Tid, (int)regs.R8))
            {
                return CallVerdict.GoOn; // EBADF
            }
            if (isEnclave)
            {
                return OnMapEnclave(thread, ref regs, enclave!);
            }
            if (_devices.IsProvision(file))
            {
                return regs.Rsi == 0 ? CallVerdict.GoOn : CallVerdict.Fail(ENODEV); // the driver has no mmap operation; EINVAL comes first
            }
        }
        bool isCode = isFile && ((int)regs.Rdx & PROT_EXEC) != 0;
        bool mayReplace = (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) == MAP_FIXED && Withdraw(thread, regs.Rdi, regs.Rsi);
        return isCode || mayReplace ? CallVerdict.WatchEnd(PendingCall.Map) : CallVerdict.GoOn;
    }

    /// <summary>sgx_mmap and sgx_get_unmapped_area, arch/x86/kernel/cpu/sgx/driver.c.</summary>
    private static CallVerdict OnMapEnclave(TracedThread thread, ref UserRegs regs, OpenEnclave owner)
    {
        int flags = (int)regs.R10;
        if ((flags & MAP_TYPE) == MAP_PRIVATE)
        {
            return CallVerdict.Fail(EINVAL); // enclave memory is shared at all times: no copy on write
        }
        PageProtection protection = (PageProtection)(regs.Rdx & (ulong)PageProtection.Access);
        if (Personality.ReadImpliesExec(thread.Tid))
        {
            return CallVerdict.Fail(EACCES);
        }
        Enclave enclave = owner.Enclave;
        ulong start = regs.Rdi, length = RoundUp(regs.Rsi);
        // With MAP_FIXED_NOREPLACE the kernel looks first whether the range is free.
        bool isFixed = (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) == MAP_FIXED;
        bool isShared = (flags & MAP_TYPE) is MAP_SHARED or MAP_SHARED_VALIDATE;
        if (length == 0 || start % PageSize != 0 || start + length < start || !isShared)
        {
            return CallVerdict.GoOn; // the kernel refuses or adjusts these itself, before any driver sees them
        }
        if (isFixed && MayMap(enclave, start, start + length, protection) is Errno errno and not Errno.None)
        {
            return CallVerdict.Fail((int)errno);
        }
        if (isFixed)
        {
            _ = Withdraw(thread, start, length);
        }
        thread.CallEnclave = owner;
        regs.R9 = OffsetOf(owner, start);
        regs.Rdx = PROT_NONE; // until faults in it are watched: another thread could touch it before that
        return CallVerdict.ChangedWatchEnd(PendingCall.MapDevice);
    }

    internal void OnMapEnclaveEnd(TracedThread thread, ref UserRegs regs)
    {
        OpenEnclave owner = thread.CallEnclave!;
        thread.CallEnclave = null;
        ref readonly UserRegs call = ref thread.CallRegs;
        (regs.Rdx, regs.R9) = (call.Rdx, call.R9);
        EndWithdrawal(thread, IsError(regs.Rax));
        if (IsError(regs.Rax))
        {
            _ = PtraceCalls.SetRegs(thread.Tid, regs);
            return;
        }
        ulong start = regs.Rax, end = start + RoundUp(call.Rsi);
        PageProtection protection = (PageProtection)(call.Rdx & (ulong)PageProtection.Access);
        InjectedCalls calls = InjectedCalls.Begin(thread, _image.Gadget(thread.Space), regs);
        try
        {
            Forget(thread.Space, start, end);
            // Without MAP_FIXED only now is the address known that the kernel chose, so that the security module has not been asked yet.
            bool isFixed = ((int)call.R10 & (MAP_FIXED | MAP_FIXED_NOREPLACE)) == MAP_FIXED;
            Errno errno = isFixed ? owner.Enclave.MayMap(start, end, protection) : MayMap(owner.Enclave, start, end, protection);
            if (errno != Errno.None)
            {
                _ = calls.Call(SYS_munmap, start, end - start);
                calls.Registers.Rax = (ulong)-(long)errno;
                return;
            }
            if (OffsetOf(owner, start) != OffsetOf(owner, call.Rdi) || EndOfPart(owner, start, end) != end)
            {
                Remap(calls, thread.CallRegs.R8, owner, start, end);
            }
            if (thread.Space.Paging is null && _paging.Prepare(thread, calls) == 0 && owner.Enclave.IsCreated)
            {
                _paging.StartAgeing(thread, calls); // the descriptor was inherited, and nothing was mapped yet
            }
            long result = Open(calls, thread, thread.CallRegs.R8, new EnclaveMapping(start, end, protection, owner));
            if (result < 0)
            {
                Forget(thread.Space, start, end);
                _ = calls.Call(SYS_munmap, start, end - start);
                calls.Registers.Rax = (ulong)result;
            }
            else if (_monitor is not null)
            {
                _monitor.Unpatch(owner, thread.Space);
                _monitor.Prepare(thread, calls, owner);
            }
        }
        finally
        {
            calls.Dispose();
        }
    }

    /// <summary>
    /// A new mapping, without any access so far: has its faults watched, then gives it its protection. Zero, or what the kernel says
    /// to the protection: the device may have been opened for less.
    /// </summary>
    private long Open(in InjectedCalls calls, TracedThread thread, ulong fd, in EnclaveMapping mapping)
    {
        AddressSpace space = thread.Space;
        space.Enclaves.Add(mapping);
        if (space.Paging is not SpacePaging paging)
        {
            return 0; // no pager, no access
        }
        if (!paging.Channel.Register(mapping.Start, mapping.End))
        {
            // The device was opened for reading only. The kernel watches only what could be written: map it by a descriptor for both.
            if ((mapping.Protection & PageProtection.Write) != 0)
            {
                return -EACCES;
            }
            long reopened = _image.Reopen(thread, calls, fd, O_RDWR);
            if (reopened < 0)
            {
                return reopened == -ENOENT ? -EBADF : reopened; // another thread of the program closed it meanwhile
            }
            Remap(calls, (ulong)reopened, mapping.Owner, mapping.Start, mapping.End);
            _ = calls.Call(SYS_close, (ulong)reopened);
            if (!paging.Channel.Register(mapping.Start, mapping.End))
            {
                return -EIO;
            }
        }
        paging.Add(mapping.Owner);
        PageProtection first = FirstHostProtection(mapping);
        long result = first == PageProtection.None ? 0 : calls.Call(SYS_mprotect, mapping.Start, mapping.End - mapping.Start, (ulong)first);
        Settle(calls, space, mapping.Start, mapping.End);
        return result;
    }

    /// <summary>What was mapped in a range is not any more.</summary>
    private static void Forget(AddressSpace space, ulong start, ulong end)
    {
        if (space.Enclaves.Overlaps(start, end))
        {
            space.Enclaves.Remove(start, end);
            space.Paging?.RemoveUnmapped();
        }
    }

    /// <summary>
    /// Before a call that takes mappings away: forgets them already now, and waits until nobody works on their page tables. Once the kernel
    /// has made the call, and before we learn of it, another thread may have got the range for memory of its own.
    /// </summary>
    /// <returns>False if there are none in that range.</returns>
    private static bool Withdraw(TracedThread thread, ulong start, ulong length)
    {
        AddressSpace space = thread.Space;
        ulong end = start + RoundUp(length);
        if (start % PageSize != 0 || end <= start || !space.Enclaves.Overlaps(start, end))
        {
            return false; // the first two the kernel refuses
        }
        thread.WithdrawnMappings = space.Enclaves.Within(start, end);
        Forget(space, start, end);
        space.Paging?.Ageing?.Enter().Dispose();
        return true;
    }

    /// <summary>The end of such a call: if it failed, what was mapped still is.</summary>
    private static void EndWithdrawal(TracedThread thread, bool failed)
    {
        foreach (EnclaveMapping mapping in failed ? thread.WithdrawnMappings : [])
        {
            thread.Space.Enclaves.Add(mapping);
            thread.Space.Paging?.Add(mapping.Owner);
        }
        thread.WithdrawnMappings = [];
    }

    /// <summary>
    /// After an ioctl: mappings that precede CREATE get their offsets, and after INIT every page its protection; the mappings of an
    /// enclave that ADD_PAGE builds leave its file with the first page, and come back with INIT.
    /// </summary>
    internal void OnSettle(TracedThread thread, in UserRegs regs)
    {
        OpenEnclave owner = thread.CallEnclave!;
        thread.CallEnclave = null;
        using InjectedCalls calls = InjectedCalls.Begin(thread, _image.Gadget(thread.Space), regs);
        EnclaveMappings mappings = thread.Space.Enclaves;
        for (int i = 0; i < mappings.Count; i++)
        {
            EnclaveMapping mapping = mappings[i];
            if (!ReferenceEquals(mapping.Owner, owner))
            {
                continue;
            }
            if (MovesWithState(owner))
            {
                Remap(calls, thread.CallRegs.Rdi, owner, mapping.Start, mapping.End);
                _ = Open(calls, thread, thread.CallRegs.Rdi, mapping);
            }
            else
            {
                Settle(calls, thread.Space, mapping.Start, mapping.End);
            }
        }
        _paging.StartAgeing(thread, calls);
        _monitor?.Prepare(thread, calls, owner);
    }

    /// <summary>True if mappings of the enclave in this address space must be brought in line with its new state.</summary>
    internal static bool NeedsSettling(AddressSpace space, OpenEnclave owner)
    {
        for (int i = 0; i < space.Enclaves.Count; i++)
        {
            EnclaveMapping mapping = space.Enclaves[i];
            if (ReferenceEquals(mapping.Owner, owner) && (MovesWithState(owner) || !IsUniform(mapping)))
            {
                return true;
            }
        }
        return false;
    }

    internal static void OnMapEnd(TracedThread thread, in UserRegs regs)
    {
        ref readonly UserRegs call = ref thread.CallRegs;
        EndWithdrawal(thread, IsError(regs.Rax));
        if (IsError(regs.Rax))
        {
            return;
        }
        ulong start = regs.Rax, end = start + RoundUp(call.Rsi);
        Forget(thread.Space, start, end);
        if (((int)call.R10 & MAP_ANONYMOUS) == 0 && ((int)call.Rdx & PROT_EXEC) != 0)
        {
            CpuidPatcher.PatchNew(thread.Space, new MapsEntry(start, end, IsExecutable: true, ((int)call.R10 & MAP_TYPE) == MAP_PRIVATE, HasInode: true, "")
            {
                Offset = call.R9,
                File = FileVersion.TryOf(thread.Tid, (int)call.R8, out FileVersion file) ? file : null,
            });
        }
    }

    internal static CallVerdict OnProtect(TracedThread thread, ref UserRegs regs)
    {
        AddressSpace space = thread.Space;
        space.MappingsChanged();
        ulong start = regs.Rdi, end = start + RoundUp(regs.Rsi);
        if (end <= start || !space.Enclaves.Overlaps(start, end))
        {
            return ((int)regs.Rdx & PROT_EXEC) != 0 ? CallVerdict.WatchEnd(PendingCall.Protect) : CallVerdict.GoOn;
        }
        if (Personality.ReadImpliesExec(thread.Tid))
        {
            return CallVerdict.Fail(EACCES);
        }
        if (start % PageSize != 0)
        {
            return CallVerdict.GoOn; // the kernel refuses it
        }
        PageProtection protection = (PageProtection)(regs.Rdx & (ulong)PageProtection.Access);
        for (int i = space.Enclaves.FirstEndingAfter(start); i < space.Enclaves.Count && space.Enclaves[i].Start < end; i++)
        {
            EnclaveMapping mapping = space.Enclaves[i];
            ulong from = Math.Max(start, mapping.Start);
            Errno errno = MayMap(mapping.Owner.Enclave, from, Math.Min(end, mapping.End), protection);
            if (errno == Errno.None)
            {
                continue;
            }
            if (from == start)
            {
                return CallVerdict.Fail((int)errno);
            }
            regs.Rsi = from - start; // mappings are changed one after the other, until one refuses (mm/mprotect.c)
            thread.CallErrno = errno;
            return CallVerdict.ChangedWatchEnd(PendingCall.Protect);
        }
        return CallVerdict.WatchEnd(PendingCall.Protect);
    }

    internal void OnProtectEnd(TracedThread thread, ref UserRegs regs)
    {
        ref readonly UserRegs call = ref thread.CallRegs;
        AddressSpace space = thread.Space;
        ulong start = call.Rdi, end = start + RoundUp(regs.Rsi);
        if (regs.Rax == unchecked((ulong)-(long)Errno.ENOMEM) && space.Enclaves.Overlaps(start, end))
        {
            end = MemoryMap.EndOfMapped(thread.Tid, start, end); // what lies before the hole was changed
        }
        else if (IsError(regs.Rax))
        {
            end = start;
        }
        if (thread.CallErrno != Errno.None)
        {
            regs.Rsi = call.Rsi;
            regs.Rax = IsError(regs.Rax) ? regs.Rax : (ulong)-(long)thread.CallErrno;
            thread.CallErrno = Errno.None;
            _ = PtraceCalls.SetRegs(thread.Tid, regs);
        }
        if (start == end)
        {
            return;
        }
        if (!space.Enclaves.Overlaps(start, end))
        {
            CpuidPatcher.PatchRange(space, start, end);
            return;
        }
        space.Enclaves.Protect(start, end, (PageProtection)(call.Rdx & (ulong)PageProtection.Access));
        if (!IsUniform(space, start, end))
        {
            using InjectedCalls calls = InjectedCalls.Begin(thread, _image.Gadget(space), regs);
            Settle(calls, space, start, end);
        }
    }

    internal static CallVerdict OnUnmap(TracedThread thread, in UserRegs regs)
    {
        thread.Space.MappingsChanged();
        return Withdraw(thread, regs.Rdi, regs.Rsi) ? CallVerdict.WatchEnd(PendingCall.Unmap) : CallVerdict.GoOn;
    }

    internal void OnUnmapEnd(TracedThread thread, in UserRegs regs)
    {
        EndWithdrawal(thread, IsError(regs.Rax));
        if (!IsError(regs.Rax))
        {
            _devices.ReleaseUnreferenced();
        }
    }

    internal static CallVerdict OnRemap(TracedThread thread, in UserRegs regs)
    {
        AddressSpace space = thread.Space;
        space.MappingsChanged();
        ulong oldEnd = regs.Rdi + RoundUp(Math.Max(regs.Rsi, 1));
        if (oldEnd > regs.Rdi && space.Enclaves.Overlaps(regs.Rdi, oldEnd))
        {
            return CallVerdict.Fail(EFAULT); // VM_DONTEXPAND and VM_PFNMAP: mm/mremap.c refuses to resize such a mapping
        }
        return ((int)regs.R10 & MREMAP_FIXED) != 0 && Withdraw(thread, regs.R8, regs.Rdx) ? CallVerdict.WatchEnd(PendingCall.Remap) : CallVerdict.GoOn;
    }

    internal static void OnRemapEnd(TracedThread thread, in UserRegs regs) => EndWithdrawal(thread, IsError(regs.Rax));

    /// <summary>The driver's rule, then what the security module says.</summary>
    private static Errno MayMap(Enclave enclave, ulong start, ulong end, PageProtection protection) =>
        enclave.MayMap(start, end, protection) is Errno errno and not Errno.None ? errno : enclave.AskToMap(start, end, protection);

    internal static bool IsError(ulong result) => result > unchecked((ulong)-4096L);

    private static ulong RoundUp(ulong length) => (length + PageSize - 1) & ~(PageSize - 1);

    /// <summary>
    /// The file offset that belongs to an address: its distance from the enclave's base; beyond the file's end, where every
    /// access is SIGBUS, for an address outside the enclave, an enclave that is not created yet, and one that is out of reach.
    /// </summary>
    private static ulong OffsetOf(OpenEnclave owner, ulong address)
    {
        Enclave enclave = owner.Enclave;
        return !enclave.IsCreated ? 0 : !enclave.IsOutOfReach && address - enclave.Base < enclave.Size ? address - enclave.Base : enclave.Size;
    }

    /// <summary>True if a change of the enclave's state, which has just happened, gave its mappings other offsets.</summary>
    private static bool MovesWithState(OpenEnclave owner) => !owner.Enclave.IsInitialized || owner.Enclave.IsBuiltByAddPage;

    /// <summary>
    /// Maps an enclave again where its offset was wrong, without any access; see <see cref="Open"/>. What a range that is larger than the
    /// enclave, as it may be before INIT, has on either side is mapped apart.
    /// </summary>
    private static void Remap(in InjectedCalls calls, ulong fd, OpenEnclave owner, ulong start, ulong end)
    {
        while (start < end)
        {
            ulong last = EndOfPart(owner, start, end);
            _ = calls.Call(SYS_mmap, start, last - start, PROT_NONE, MAP_SHARED | MAP_FIXED, fd, OffsetOf(owner, start));
            start = last;
        }
    }

    /// <summary>Where a range that begins outside the enclave comes into it, or the other way round; else its end.</summary>
    private static ulong EndOfPart(OpenEnclave owner, ulong start, ulong end)
    {
        Enclave enclave = owner.Enclave;
        ulong first = enclave.Base, behind = unchecked(first + enclave.Size);
        return !enclave.IsCreated ? end
            : start < first && first < end ? first
            : start >= first && start < behind && behind < end ? behind
            : end;
    }

    /// <summary>
    /// Gives every page of a range what the program asks for, less what the EPCM forbids. Pages that are absent and TCS pages need
    /// nothing: they are not in the inode, so an access faults whatever the mapping allows.
    /// </summary>
    private static void Settle(in InjectedCalls calls, AddressSpace space, ulong start, ulong end)
    {
        for (int i = space.Enclaves.FirstEndingAfter(start); i < space.Enclaves.Count && space.Enclaves[i].Start < end; i++)
        {
            EnclaveMapping mapping = space.Enclaves[i];
            if (!mapping.Owner.Enclave.IsInitialized)
            {
                continue; // nobody can be inside yet
            }
            ulong last = Math.Min(end, mapping.End);
            for (ulong at = Math.Max(start, mapping.Start); mapping.Owner.Enclave.NextRun(ref at, last, out PageProtection epcm, out ulong runEnd); at = runEnd)
            {
                PageProtection host = mapping.HostProtection(at, epcm);
                if (host != mapping.Protection)
                {
                    _ = calls.Call(SYS_mprotect, at, runEnd - at, (ulong)host);
                }
            }
        }
    }

    private static bool IsUniform(AddressSpace space, ulong start, ulong end)
    {
        for (int i = space.Enclaves.FirstEndingAfter(start); i < space.Enclaves.Count && space.Enclaves[i].Start < end; i++)
        {
            if (!IsUniform(space.Enclaves[i]))
            {
                return false;
            }
        }
        return true;
    }

    private static bool IsUniform(in EnclaveMapping mapping)
    {
        for (ulong at = mapping.Start; mapping.Owner.Enclave.NextRun(ref at, mapping.End, out PageProtection epcm, out ulong runEnd); at = runEnd)
        {
            if (mapping.HostProtection(at, epcm) != mapping.Protection)
            {
                return false;
            }
        }
        return true;
    }

    /// <summary>What to map at once, if one protection serves the whole range.</summary>
    private static PageProtection FirstHostProtection(in EnclaveMapping mapping)
    {
        ulong at = mapping.Start;
        return mapping.Owner.Enclave.IsInitialized && mapping.Owner.Enclave.NextRun(ref at, mapping.End, out PageProtection epcm, out ulong runEnd) && runEnd >= mapping.End
            ? mapping.HostProtection(at, epcm)
            : mapping.Protection;
    }
}
