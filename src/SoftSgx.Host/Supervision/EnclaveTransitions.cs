using System.Buffers.Binary;
using SoftSgx.Architecture;
using SoftSgx.Host.Enclaves;
using SoftSgx.Host.Isolation;
using SoftSgx.Host.Monitor;
using SoftSgx.Host.Paging;
using SoftSgx.Host.Ptrace;
using SoftSgx.Host.Signals;
using SoftSgx.Host.Spawn;
using SoftSgx.Host.Statistics;
using SoftSgx.Host.Tracing;
using SoftSgx.Host.Vdso;
using SoftSgx.Kernel;
using SoftSgx.Kernel.Tracing;
using SoftSgx.Processor;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Supervision;

/// <summary>Entering and leaving enclaves: ENCLU, the trap in the vDSO, and asynchronous exits.</summary>
internal sealed class EnclaveTransitions
{
    /// <summary>No XSAVE image is larger than this in the standard format that ptrace uses.</summary>
    private const int MaximumXsave = 16384;

    private const int EncluLength = 3;

    [ThreadStatic]
    private static byte[]? t_xsave;

    private readonly SgxSubsystem _subsystem;
    private readonly ProgramImage _image;
    private readonly ProgramPaging _paging;
    private readonly EnclaveIsolation? _isolation;
    private readonly ProgramMonitor? _monitor;
    private readonly ITrace? _trace;
    private long _entries, _exits, _resumes, _asynchronousExits;

    internal EnclaveTransitions(SgxSubsystem subsystem, ProgramImage image, ProgramPaging paging, EnclaveIsolation? isolation, ProgramMonitor? monitor, ITrace? trace)
    {
        _monitor = monitor;
        _trace = trace;
        _subsystem = subsystem;
        _image = image;
        _isolation = isolation;
        _paging = paging;
    }

    /// <summary>What happened so far.</summary>
    internal TransitionStatistics Statistics
    {
        get
        {
            TransitionCounts direct = _monitor?.Counts ?? default;
            return new TransitionStatistics
            {
                EntriesByVdso = (long)direct.EntriesByVdso,
                EntriesBySite = (long)direct.EntriesBySite,
                ExitsBySite = (long)direct.Exits,
                TrappedEntries = _entries,
                TrappedExits = _exits,
                AsynchronousExits = _asynchronousExits,
                Resumes = _resumes + (long)direct.Resumes,
                DirectResumes = (long)direct.Resumes,
                PatchedSites = _monitor?.PatchedSites ?? 0,
            };
        }
    }

    /// <summary>The bytes of ENCLU.</summary>
    internal static ReadOnlySpan<byte> EncluBytes => [0x0F, 0x01, 0xD7];

    /// <summary>
    /// The thread reached the trap of our __vdso_sgx_enter_enclave: performs EENTER or ERESUME on it, or reports the fault the
    /// way the vDSO does, and lets the thread go on.
    /// </summary>
    /// <returns>False if the registers are not those of the trap: then it was a real rt_sigreturn.</returns>
    internal bool OnVdsoTrap(TracedThread thread, ref UserRegs regs)
    {
        AddressSpace space = thread.Space;
        if (space.VdsoBase == 0 || regs.Rip != TrapReturn(space))
        {
            return false;
        }
        // The trap saved what a system call needs or destroys just below the stack pointer, highest address first.
        Span<ulong> saved = stackalloc ulong[3];
        if (!space.TryRead(regs.Rsp + unchecked((ulong)(long)VdsoImage.TrapSavedR11), System.Runtime.InteropServices.MemoryMarshal.AsBytes(saved)))
        {
            return false;
        }
        (regs.R11, regs.R10, regs.Rax) = (saved[0], saved[1], saved[2]);
        regs.Rcx = Aep(space);
        Execute(thread, ref regs, regs.Rip, regs.Rip, ForcedSignal.AtCall);
        return true;
    }

    /// <summary>
    /// The thread called by the monitor, which could not do a leaf itself: performs it. False if it did not; then it is something else.
    /// </summary>
    internal bool OnMonitorCall(TracedThread thread, ref UserRegs regs)
    {
        if (_monitor is null || !_monitor.TryTakeCall(thread, ref regs, out MonitorSite site))
        {
            return false;
        }
        Execute(thread, ref regs, site.Return, site.Faulting, ForcedSignal.AtCall);
        return true;
    }

    /// <summary>The thread executed ENCLU itself, inside or outside an enclave, which stopped it with SIGILL.</summary>
    internal void OnEnclu(TracedThread thread, ref UserRegs regs)
    {
        _monitor?.Patch(thread, regs);
        if (thread.Ended is null)
        {
            Execute(thread, ref regs, regs.Rip + EncluLength, regs.Rip, ForcedSignal.At(thread, SIGILL));
        }
    }

    /// <summary>True if ENCLU stands at <paramref name="rip"/>.</summary>
    internal static bool IsEncluAt(AddressSpace space, ulong rip)
    {
        Span<byte> bytes = stackalloc byte[EncluLength];
        return space.ReadCode(rip, bytes) == bytes.Length && bytes.SequenceEqual(EncluBytes);
    }

    /// <summary>
    /// A signal stopped the thread inside an enclave: an asynchronous exit, then the signal, or in its place the vDSO's exception
    /// report.
    /// </summary>
    internal void OnSignalInside(TracedThread thread, ref UserRegs regs, ref SigInfo info)
    {
        bool isException = info.IsSynchronousFault || info.IsPerfBreakpoint;
        if (!isException && (thread.MaskAtEntry & LaunchEnvironment.SignalBit(info.Signal)) != 0)
        {
            thread.HoldInside(info.Signal);
            return;
        }
        ForcedSignal forced = info.IsSynchronousFault ? ForcedSignal.At(thread, info.Signal) : ForcedSignal.None;
        Fault fault = default;
        if (isException)
        {
            if (info is { Signal: SIGTRAP, Code: TRAP_TRACE } && !thread.Processor.DebugOptIn)
            {
                // POPF inside cannot set TF after an opt-out entry (SDM vol. 3D, "Restriction on setting of TF").
                regs.Eflags &= ~Rflags.TF;
                Resume(thread, ref regs, forced);
                return;
            }
            if (info.IsPerfBreakpoint && !thread.Processor.DebugOptIn && thread.Processor.IsInElrange(info.Address))
            {
                Resume(thread, ref regs, forced); // SDM vol. 3D, "Breakpoint suppression"
                return;
            }
            fault = FaultDecoder.Decode(thread.Space, thread.Processor, regs, info);
            if (FaultDecoder.IsBreakpoint(info))
            {
                regs.Rip -= (ulong)FaultDecoder.BreakpointLength(thread.Space, regs, info);
            }
            if (fault.Kind is not (ExceptionVector.DB or ExceptionVector.BP))
            {
                // A fault pushes RF set, also where the host stopped the thread in another way (SDM vol. 3D, "RF treatment on AEX").
                regs.Eflags |= Rflags.RF;
            }
            if (fault.Kind == ExceptionVector.PF && thread.Space.Enclaves.TryFind(fault.Address, out EnclaveMapping mapping) && mapping.ExceedsMaximum(fault.Address))
            {
                // The host's PROT_NONE said SIGSEGV; the driver says SIGBUS to an absent page and to one that is mapped too wide.
                (info.Signal, info.Code) = (SIGBUS, BUS_ADRERR);
            }
            else if (fault.Kind == ExceptionVector.PF && TryWiden(thread, regs, fault))
            {
                Resume(thread, ref regs, forced);
                return;
            }
        }
        ExitAndDeliver(thread, ref regs, ref info, fault, isException, forced);
    }

    /// <summary>
    /// The EPCM allows more than when the page was mapped (EMODPE, or a page that was removed and came again): gives the page the
    /// protection that it may have by now. False if the fault is a true one.
    /// </summary>
    private bool TryWiden(TracedThread thread, in UserRegs regs, Fault fault)
    {
        PageFaultError error = (PageFaultError)fault.ErrorCode;
        PageProtection needed = (error & PageFaultError.Instruction) != 0 ? PageProtection.Execute
            : (error & PageFaultError.Write) != 0 ? PageProtection.Write
            : PageProtection.Read;
        AddressSpace space = thread.Space;
        if ((error & (PageFaultError.Present | PageFaultError.Sgx)) != PageFaultError.Present
            || !space.Enclaves.TryFind(fault.Address, out EnclaveMapping mapping))
        {
            return false;
        }
        PageProtection allowed = mapping.Protection & mapping.Owner.Enclave.EpcmProtection(fault.Address);
        bool isSecond = thread.Widened == (regs.Rip, fault.Address);
        thread.Widened = isSecond ? default : (regs.Rip, fault.Address);
        if ((allowed & needed) == 0 || isSecond)
        {
            return false; // what stands in the way is something else
        }
        space.Paging?.Closure.RunsAreStale = true;
        using InjectedCalls calls = InjectedCalls.Begin(thread, _image.Gadget(space), regs);
        return calls.Call(SYS_mprotect, fault.Address & ~(PageSize - 1), PageSize, (ulong)allowed) == 0;
    }

    private ulong TrapReturn(AddressSpace space) => space.VdsoBase + (ulong)_image.Vdso.TrapReturnOffset;

    private ulong Aep(AddressSpace space) => space.VdsoBase + (ulong)_image.Vdso.AepOffset;

    /// <summary>Runs a leaf; <paramref name="forced"/> is the signal by which it stopped the thread.</summary>
    private void Execute(TracedThread thread, ref UserRegs regs, ulong after, ulong enclu, ForcedSignal forced)
    {
        bool wasInside = thread.Processor.InEnclave;
        EncluLeaf leaf = (EncluLeaf)(uint)regs.Rax;
        bool needsXsave = Enclu.NeedsXsave(leaf);
        Span<byte> xsave = default;
        if (needsXsave && !ReadXsave(thread, out xsave))
        {
            return;
        }
        regs.CopyTo(out RegisterFile file);
        file.Rip = after;
        // Set by the #UD that ENCLU is here; an instruction that completes clears it, but ERESUME, which loads it.
        file.Rflags &= ~Rflags.RF;
        if (!wasInside)
        {
            _monitor?.Reveal(thread.Space, regs.Rbx);
        }
        OpenEnclave? concerned = wasInside ? thread.Inside : thread.Space.Enclaves.TryFind(regs.Rbx, out EnclaveMapping mapping) ? mapping.Owner : null;
        LeafResult result = _subsystem.ExecuteEnclu(concerned?.Enclave, thread.Processor, ref file, thread.Space, xsave, out FaultOutcome outcome);
        if (result.Status == LeafStatus.Fault)
        {
            OnLeafFault(thread, ref regs, enclu, result.Fault, outcome, wasInside, forced);
            return;
        }
        Count(leaf);
        regs.CopyFrom(file);
        thread.Inside = thread.Processor.InEnclave ? concerned : null;
        _isolation?.Update(thread.Space);
        if (wasInside && !thread.Processor.InEnclave)
        {
            thread.BlockOutside();
            _monitor?.Publish(thread, thread.Processor.TcsAddress);
        }
        if (!wasInside && thread.Processor.InEnclave)
        {
            forced = forced.Undo(thread, _image, ref regs);
            thread.UnblockInside();
        }
        if (needsXsave && !PtraceCalls.SetXState(thread.Tid, xsave))
        {
            return;
        }
        if ((regs.Eflags & Rflags.TF) != 0 && (leaf != EncluLeaf.ERESUME || thread.Processor.IsNotified))
        {
            Step(thread, ref regs, forced);
            return;
        }
        Resume(thread, ref regs, forced);
    }

    /// <summary>
    /// Single-stepping ends behind the ENCLU: at the target of an EEXIT, at the entry point of an opt-in entry, be it by EENTER or by an
    /// ERESUME with AEX-Notify. After any other ERESUME no step is pending, and the processor steps over one instruction of the enclave by
    /// itself (SDM vol. 3D, EENTER, ERESUME, EEXIT; "Single stepping ENCLU instruction leafs").
    /// </summary>
    private void Step(TracedThread thread, ref UserRegs regs, ForcedSignal forced)
    {
        SigInfo info = new() { Signal = SIGTRAP, Code = TRAP_TRACE, Address = regs.Rip };
        regs.OrigRax = ulong.MaxValue;
        if (thread.Processor.InEnclave)
        {
            ExitAndDeliver(thread, ref regs, ref info, new Fault((byte)ExceptionVector.DB, 0, 0), isException: true, forced);
        }
        else
        {
            Deliver(thread, ref regs, ref info, forced);
        }
    }

    private void Count(EncluLeaf leaf)
    {
        switch (leaf)
        {
            case EncluLeaf.EENTER:
                Interlocked.Increment(ref _entries);
                break;
            case EncluLeaf.EEXIT:
                Interlocked.Increment(ref _exits);
                break;
            case EncluLeaf.ERESUME:
                Interlocked.Increment(ref _resumes);
                break;
            default:
                break;
        }
    }

    private void OnLeafFault(
        TracedThread thread, ref UserRegs regs, ulong enclu, Fault fault, FaultOutcome outcome, bool wasInside, ForcedSignal forced)
    {
        if (!wasInside)
        {
            _monitor?.Publish(thread, regs.Rbx);
        }
        SigInfo info = default;
        info.Signal = SignalNumber(fault);
        if (fault.Kind == ExceptionVector.PF && outcome is not (FaultOutcome.Present or FaultOutcome.Retry or FaultOutcome.Forbidden))
        {
            (info.Signal, info.Code) = (SIGBUS, BUS_ADRERR);
        }
        regs.OrigRax = ulong.MaxValue;
        regs.Rip = enclu;
        regs.Eflags |= Rflags.RF; // as every fault pushes it; the thread may have come here by a call
        if (wasInside)
        {
            // A fault of a leaf inside the enclave is like that of any instruction there: RIP is the ENCLU's, RAX its leaf.
            ExitAndDeliver(thread, ref regs, ref info, fault, isException: true, forced);
        }
        else if (!ReportByVdso(thread, ref regs, enclu == TrapReturn(thread.Space), fault, forced))
        {
            Translate(ref info, fault, enclu);
            Deliver(thread, ref regs, ref info, forced);
        }
    }

    private void ExitAndDeliver(TracedThread thread, ref UserRegs regs, ref SigInfo info, Fault fault, bool isException, ForcedSignal forced)
    {
        if (!ReadXsave(thread, thread.Inside!.Enclave.Xfrm, out Span<byte> xsave, out bool isLegacy))
        {
            return;
        }
        // Not what changes XSTATE_BV alone: where that says that a component is initial, its bytes are.
        bool isInitial = isLegacy && SsaXsave.IsInitial(xsave);
        regs.CopyTo(out RegisterFile file);
        // INT3 is a software exception, everything else here a hardware one (SDM vol. 3D, EXITINFO.EXIT_TYPE).
        bool software = isException && fault.Kind == ExceptionVector.BP;
        // The enclave is told the whole address of a page fault, everybody else that of the page.
        bool isWhole = fault.Kind == ExceptionVector.PF && info.Address - fault.Address < PageSize;
        Interlocked.Increment(ref _asynchronousExits);
        _subsystem.ExitAsynchronously(
            thread.Processor, ref file, xsave,
            new ExitEvent(isException, fault.Vector, software, fault.ErrorCode, isWhole ? info.Address : fault.Address));
        regs.CopyFrom(file);
        thread.Inside = null;
        thread.BlockOutside();
        _isolation?.Update(thread.Space);
        _monitor?.Publish(thread, thread.Processor.TcsAddress);
        if (!isInitial && !(isLegacy ? PtraceCalls.SetFpRegs(thread.Tid, xsave) : PtraceCalls.SetXState(thread.Tid, xsave)))
        {
            return;
        }
        if (!isException)
        {
            // The signal is what it was.
            _trace?.Delivered(thread.Space, info);
            _ = PtraceCalls.SetRegs(thread.Tid, regs) && thread.DeliverAtExit(info.Signal, regs.Rsp, regs.Rbx);
            return;
        }
        if (ReportByVdso(thread, ref regs, regs.Rip == Aep(thread.Space), fault, forced))
        {
            return;
        }
        Translate(ref info, fault, regs.Rip);
        Deliver(thread, ref regs, ref info, forced, isExit: true);
    }

    /// <summary>
    /// Makes an exception on the vDSO's ENCLU its report, as the kernel's fix-up does; #DB and #BP stay signals
    /// (arch/x86/entry/vdso/extable.c).
    /// </summary>
    private bool ReportByVdso(TracedThread thread, ref UserRegs regs, bool isVdso, Fault fault, ForcedSignal forced)
    {
        if (!isVdso || thread.Space.VdsoBase == 0 || fault.Kind is ExceptionVector.DB or ExceptionVector.BP)
        {
            return false;
        }
        _trace?.Reported(thread.Space, regs.Rax, fault);
        regs.Rdi = fault.Vector;
        regs.Rsi = fault.ErrorCode;
        regs.Rdx = fault.Address;
        regs.Rip = thread.Space.VdsoBase + (ulong)_image.Vdso.ExceptionOffset;
        Resume(thread, ref regs, forced);
        return true;
    }

    /// <summary>
    /// Lets the thread go on with a signal. Of an exception it is one that the kernel forces; if it stopped the thread by another
    /// (<paramref name="forced"/>), and that or this one is blocked or ignored, the thread has to fault once more to have it forced.
    /// </summary>
    private void Deliver(TracedThread thread, ref UserRegs regs, ref SigInfo info, ForcedSignal forced, bool isExit = false)
    {
        if (!forced.CanBecome(thread, info.Signal))
        {
            _ = forced.Undo(thread, _image, ref regs);
            _paging.Raise(thread, regs, info);
            return;
        }
        _trace?.Delivered(thread.Space, info);
        if (PtraceCalls.SetRegs(thread.Tid, regs) && PtraceCalls.SetSigInfo(thread.Tid, info))
        {
            _ = isExit ? thread.DeliverAtExit(info.Signal, regs.Rsp, regs.Rbx) : thread.Continue(info.Signal);
        }
    }

    /// <summary>Lets the thread go on without a signal, after undoing what the one that stopped it did.</summary>
    private void Resume(TracedThread thread, ref UserRegs regs, ForcedSignal forced)
    {
        _ = forced.Undo(thread, _image, ref regs);
        if (thread.Ended is null && PtraceCalls.SetRegs(thread.Tid, regs))
        {
            _ = thread.Continue();
        }
    }

    /// <summary>
    /// Reads the part of the XSAVE image that an exit saves and replaces: x87 and SSE state if there is no more of XFRM in use, else all of it.
    /// </summary>
    private bool ReadXsave(TracedThread thread, ulong xfrm, out Span<byte> xsave, out bool isLegacy)
    {
        int size = _subsystem.Processor.Configuration.XsaveLayout.SizeFor(xfrm);
        byte[] buffer = t_xsave ??= new byte[MaximumXsave];
        int length = PtraceCalls.GetXState(thread.Tid, buffer.AsSpan(0, size));
        xsave = length > 0 ? buffer.AsSpan(0, length) : default;
        isLegacy = length == size && (BinaryPrimitives.ReadUInt64LittleEndian(xsave[XsaveLayout.LegacyRegionSize..]) & xfrm & ~(ulong)XFeatureMask.Legacy) == 0;
        return isLegacy || ReadXsave(thread, out xsave);
    }

    private static bool ReadXsave(TracedThread thread, out Span<byte> xsave)
    {
        byte[] buffer = t_xsave ??= new byte[MaximumXsave];
        int length = PtraceCalls.GetXState(thread.Tid, buffer);
        xsave = length > 0 ? buffer.AsSpan(0, length) : default;
        return length > 0;
    }

    private static int SignalNumber(Fault fault) => fault.Kind switch
    {
        ExceptionVector.DE or ExceptionVector.MF or ExceptionVector.XM => SIGFPE,
        ExceptionVector.UD => SIGILL,
        ExceptionVector.DB or ExceptionVector.BP => SIGTRAP,
        ExceptionVector.AC or ExceptionVector.SS => SIGBUS,
        // A page that is not there is the driver's SIGBUS, an access that a protection forbids the kernel's SIGSEGV.
        _ => SIGSEGV,
    };

    /// <summary>Gives the siginfo the address that a program sees on hardware: never one inside the enclave but a page's.</summary>
    private static void Translate(ref SigInfo info, Fault fault, ulong rip)
    {
        switch (fault.Kind)
        {
            case ExceptionVector.PF when info.Signal != SIGBUS || (fault.ErrorCode & (uint)PageFaultError.Sgx) != 0:
                info.Signal = SIGSEGV;
                info.Code = (fault.ErrorCode & (uint)PageFaultError.Present) != 0 ? SEGV_ACCERR : SEGV_MAPERR;
                info.Address = fault.Address;
                break;
            case ExceptionVector.PF:
                info.Address = fault.Address;
                break;
            case ExceptionVector.GP or ExceptionVector.SS:
                info.Signal = SignalNumber(fault);
                info.Code = SI_KERNEL;
                info.Address = 0;
                break;
            case ExceptionVector.BP:
                info.Code = SI_KERNEL;
                break;
            case ExceptionVector.UD when info.Signal != SIGILL:
                (info.Signal, info.Code, info.Address) = (SIGILL, ILL_ILLOPN, rip);
                break;
            case ExceptionVector.DB when info.IsPerfBreakpoint:
                break; // the address is that of the breakpoint
            case ExceptionVector.AC:
                info.Address = 0; // the kernel has none to tell
                break;
            default:
                info.Code = info.Code != 0 ? info.Code : ILL_ILLOPN;
                info.Address = rip;
                break;
        }
    }
}
