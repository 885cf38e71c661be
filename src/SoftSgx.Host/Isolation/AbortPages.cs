using SoftSgx.Host.Enclaves;
using SoftSgx.Host.Interop;
using SoftSgx.Host.Paging;
using SoftSgx.Host.Ptrace;
using SoftSgx.Host.Signals;
using SoftSgx.Host.Spawn;
using SoftSgx.Host.Supervision;
using SoftSgx.Kernel;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Isolation;

/// <summary>
/// What the processor makes of accesses to enclave memory from outside: reads give ones, writes vanish (SDM vol. 3D, "Abort page
/// semantics"). By the tracer.
/// </summary>
/// <remarks>
/// The access faults, since the memory is closed (<see cref="EnclaveIsolation"/>). Nothing is emulated: the thread executes its instruction
/// from another place, redirected to memory of ones that nobody needs, up to a trap behind it.
/// </remarks>
internal sealed class AbortPages
{
    private const byte Int3 = 0xCC;

    private readonly ProgramImage _image;
    private readonly ProgramPaging _paging;

    internal AbortPages(ProgramImage image, ProgramPaging paging)
    {
        _image = image;
        _paging = paging;
    }

    /// <summary>A SIGSEGV stopped a thread outside enclaves: answers it if it was such an access. False if the signal is the program's.</summary>
    internal bool TryAnswer(TracedThread thread)
    {
        AddressSpace space = thread.Space;
        if (space.Enclaves.Count == 0 || space.Paging is not SpacePaging paging || space.AbortSlots.HasNoRoom
            || !PtraceCalls.GetSigInfo(thread.Tid, out SigInfo info) || info.Code != SEGV_ACCERR
            || !space.Enclaves.TryFind(info.Address, out EnclaveMapping mapping) || !PtraceCalls.GetRegs(thread.Tid, out UserRegs regs))
        {
            return false;
        }
        bool isAgain = thread.FailedAccess == (regs.Rip, regs.Rcx);
        thread.FailedAccess = default;
        if (isAgain || RedirectedAccess.Find(space, regs, info.Address) is not RedirectedAccess access)
        {
            return false;
        }
        _ = ForcedSignal.At(thread, SIGSEGV).Undo(thread, _image, ref regs);
        if (!mapping.Owner.Enclave.TryFindPage(info.Address, out _))
        {
            FaultOutcome outcome = mapping.Owner.Enclave.HandleFault(info.Address, mapping.Protection, paging.Find(mapping.Owner));
            switch (outcome)
            {
                case FaultOutcome.Retry:
                    _ = thread.Continue();
                    return true;
                case FaultOutcome.Present or FaultOutcome.Refused:
                    break; // there is a page now, which is as good as any outside
                default:
                    _ = _paging.TryRaise(thread, new FaultVerdict(paging, thread.Tid, info.Address, access.Writes, false, true, thread.LastStop));
                    return true;
            }
        }
        Begin(thread, access, ref regs);
        return true;
    }

    /// <summary>
    /// The first stop after <see cref="TryAnswer"/>, whatever it is: the thread is back at its instruction or behind it. True if that was
    /// all, and the thread goes on.
    /// </summary>
    internal bool End(TracedThread thread, WaitStatus status)
    {
        RedirectedAccess access = thread.Redirected!;
        Abandon(thread);
        if (!PtraceCalls.GetRegs(thread.Tid, out UserRegs regs))
        {
            return false;
        }
        ulong code = _image.AbortCode(thread.Space, access.Slot), stopped = regs.Rip;
        bool isDone = access.Leave(ref regs, code);
        _ = PtraceCalls.SetRegs(thread.Tid, regs);
        if (access.IsCall && thread.Space.Memory.TryReadUInt64(regs.Rsp, out ulong back) && back == code + (ulong)access.Copy.Length)
        {
            _ = thread.Space.Memory.Poke(regs.Rsp, BitConverter.GetBytes(access.Next)); // it went to ones, and fails there
        }
        if (status.Event != 0 || !PtraceCalls.GetSigInfo(thread.Tid, out SigInfo info))
        {
            return false;
        }
        if (stopped == code + (ulong)access.Copy.Length + 1)
        {
            _ = ForcedSignal.At(thread, SIGTRAP).Undo(thread, _image, ref regs);
            if (access.TrapWasBlocked && PtraceCalls.GetSigMask(thread.Tid, out ulong mask))
            {
                _ = PtraceCalls.SetSigMask(thread.Tid, mask | LaunchEnvironment.SignalBit(SIGTRAP));
            }
            if (!info.IsSynchronousFault)
            {
                // One that somebody sent was pending already, and the kernel keeps one at most: it came in place of ours.
                _ = Libc.Syscall(SYS_tkill, thread.Tid, SIGTRAP);
            }
            _ = thread.Continue();
            return true;
        }
        if (!info.IsSynchronousFault)
        {
            return false;
        }
        if (info.Address == stopped)
        {
            info.Address = regs.Rip; // an exception of the instruction itself
            _ = PtraceCalls.SetSigInfo(thread.Tid, info);
        }
        if (!isDone && regs.Rcx == access.CountAtStart)
        {
            thread.FailedAccess = (regs.Rip, regs.Rcx); // the same again would end the same way
        }
        return false;
    }

    /// <summary>The thread is back from its slot, or has ended there.</summary>
    internal static void Abandon(TracedThread thread)
    {
        if (thread.Redirected is RedirectedAccess access)
        {
            thread.Space.AbortSlots.Return(access.Slot);
            thread.Redirected = null;
        }
    }

    private void Begin(TracedThread thread, RedirectedAccess access, ref UserRegs regs)
    {
        AddressSpace space = thread.Space;
        access.Slot = TryMap(thread, regs) ? space.AbortSlots.Take() : -1;
        if (access.Slot < 0)
        {
            if (thread.Ended is null)
            {
                _ = thread.Continue(); // it comes again, when a slot is free or without one
            }
            return;
        }
        ulong code = _image.AbortCode(space, access.Slot);
        Span<byte> copy = stackalloc byte[AbortSlots.CodeSize];
        copy.Fill(Int3);
        access.Copy.CopyTo(copy);
        thread.Redirected = access;
        access.Enter(ref regs, space.AbortSlots, code);
        regs.OrigRax = ulong.MaxValue;
        if (!space.Memory.Poke(code, copy) || !access.Fill(space, regs))
        {
            space.AbortSlots.HasNoRoom = true; // the program unmapped it
            Abandon(thread);
            _ = thread.Continue();
            return;
        }
        access.TrapWasBlocked = PtraceCalls.GetSigMask(thread.Tid, out ulong mask) && (mask & LaunchEnvironment.SignalBit(SIGTRAP)) != 0;
        if (PtraceCalls.SetRegs(thread.Tid, regs))
        {
            _ = thread.Continue();
        }
    }

    /// <summary>Maps the slots' data if it is not there yet.</summary>
    private bool TryMap(TracedThread thread, in UserRegs regs)
    {
        AbortSlots slots = thread.Space.AbortSlots;
        if (slots.Data != 0)
        {
            return true;
        }
        using InjectedCalls calls = InjectedCalls.Begin(thread, _image.Gadget(thread.Space), regs);
        long address = calls.Call(
            SYS_mmap, 0, AbortSlots.Count * AbortSlots.DataSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, ulong.MaxValue, 0);
        slots.HasNoRoom = MemoryCalls.IsError((ulong)address);
        slots.Data = slots.HasNoRoom ? 0 : (ulong)address;
        return !slots.HasNoRoom;
    }
}
