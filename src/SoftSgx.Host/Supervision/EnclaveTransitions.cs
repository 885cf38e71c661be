using SoftSgx.Architecture;
using SoftSgx.Host.Enclaves;
using SoftSgx.Host.Interop;
using SoftSgx.Host.Ptrace;
using SoftSgx.Host.Signals;
using SoftSgx.Host.Vdso;
using SoftSgx.Processor;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Supervision;

/// <summary>Entering and leaving enclaves: ENCLU, the trap in the vDSO, and asynchronous exits.</summary>
internal sealed class EnclaveTransitions
{
    /// <summary>No XSAVE image is larger than this in the standard format that ptrace uses.</summary>
    private const int MaximumXsave = 16384;

    private const int EncluLength = 3;

    private readonly SgxProcessor _processor;
    private readonly ProgramImage _image;
    private readonly byte[] _xsave = new byte[MaximumXsave];

    internal EnclaveTransitions(SgxProcessor processor, ProgramImage image)
    {
        _processor = processor;
        _image = image;
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
        if (space.VdsoBase == 0 || regs.Rip != space.VdsoBase + (ulong)_image.Vdso.TrapReturnOffset)
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
        Execute(thread, ref regs, regs.Rip, regs.Rip);
        return true;
    }

    /// <summary>The thread executed ENCLU itself, inside or outside an enclave, which stopped it with SIGILL.</summary>
    internal void OnEnclu(TracedThread thread, ref UserRegs regs) => Execute(thread, ref regs, regs.Rip + EncluLength, regs.Rip);

    /// <summary>True if ENCLU stands at <paramref name="rip"/>.</summary>
    internal static bool IsEncluAt(AddressSpace space, ulong rip)
    {
        Span<byte> bytes = stackalloc byte[EncluLength];
        int length = 0;
        while (length < bytes.Length && space.TryReadEnclave(rip + (ulong)length, bytes[length..], out int read))
        {
            length += read;
        }
        return (length == bytes.Length || space.TryRead(rip + (ulong)length, bytes[length..])) && bytes.SequenceEqual(EncluBytes);
    }

    /// <summary>
    /// A signal stopped the thread inside an enclave: an asynchronous exit, then the signal, or in its place the vDSO's exception
    /// report.
    /// </summary>
    internal void OnSignalInside(TracedThread thread, ref UserRegs regs, ref SigInfo info)
    {
        bool isException = info.IsSynchronousFault;
        Fault fault = default;
        if (isException)
        {
            fault = FaultDecoder.Decode(thread.Space, regs, info);
        }
        ExitAndDeliver(thread, ref regs, ref info, fault, isException);
    }

    private ulong Aep(AddressSpace space) => space.VdsoBase + (ulong)_image.Vdso.AepOffset;

    private void Execute(TracedThread thread, ref UserRegs regs, ulong after, ulong enclu)
    {
        EncluLeaf leaf = (EncluLeaf)(uint)regs.Rax;
        bool wasInside = thread.Processor.InEnclave;
        bool needsXsave = Enclu.NeedsXsave(leaf);
        Span<byte> xsave = default;
        if (needsXsave && !ReadXsave(thread, out xsave))
        {
            return;
        }
        regs.CopyTo(out RegisterFile file);
        file.Rip = after;
        LeafResult result = Enclu.Execute(_processor, thread.Processor, ref file, thread.Space, xsave);
        if (result.Status == LeafStatus.Fault)
        {
            OnLeafFault(thread, ref regs, enclu, result.Fault, wasInside);
            return;
        }
        regs.CopyFrom(file);
        if (!wasInside && thread.Processor.InEnclave)
        {
            // Inside, the mask changes only by our leave: what is there now is what a forced signal must not change.
            _ = PtraceCalls.GetSigMask(thread.Tid, out ulong mask);
            thread.MaskAtEntry = mask;
        }
        if (needsXsave && !PtraceCalls.SetXState(thread.Tid, xsave))
        {
            return;
        }
        Resume(thread, ref regs, wasInside ? SIGILL : 0);
    }

    private void OnLeafFault(TracedThread thread, ref UserRegs regs, ulong enclu, Fault fault, bool wasInside)
    {
        SigInfo info = SignalOf(fault, enclu);
        if (wasInside)
        {
            // A fault of a leaf inside the enclave is like that of any instruction there: RIP is the ENCLU's, RAX its leaf.
            regs.Rip = enclu;
            ExitAndDeliver(thread, ref regs, ref info, fault, isException: true);
            return;
        }
        regs.OrigRax = ulong.MaxValue;
        if (ReportByVdso(thread, ref regs, enclu == thread.Space.VdsoBase + (ulong)_image.Vdso.TrapReturnOffset, fault))
        {
            return;
        }
        regs.Rip = enclu;
        Deliver(thread, ref regs, ref info);
    }

    private void ExitAndDeliver(TracedThread thread, ref UserRegs regs, ref SigInfo info, Fault fault, bool isException)
    {
        if (!ReadXsave(thread, out Span<byte> xsave))
        {
            return;
        }
        regs.CopyTo(out RegisterFile file);
        // INT3 is a software exception, everything else here a hardware one (SDM vol. 3D, EXITINFO.EXIT_TYPE).
        bool software = fault.Kind == ExceptionVector.BP;
        AsynchronousExit.Execute(
            _processor, thread.Processor, ref file, xsave, new ExitEvent(isException, fault.Vector, isException && software, fault.ErrorCode, fault.Address));
        regs.CopyFrom(file);
        if (!PtraceCalls.SetXState(thread.Tid, xsave))
        {
            return;
        }
        if (isException)
        {
            if (ReportByVdso(thread, ref regs, regs.Rip == Aep(thread.Space), fault))
            {
                return;
            }
            Translate(ref info, fault, regs.Rip);
        }
        Deliver(thread, ref regs, ref info);
    }

    /// <summary>
    /// Makes an exception on the vDSO's ENCLU its report, as the kernel's fix-up does; #DB and #BP stay signals
    /// (arch/x86/entry/vdso/extable.c).
    /// </summary>
    private bool ReportByVdso(TracedThread thread, ref UserRegs regs, bool isVdso, Fault fault)
    {
        if (!isVdso || thread.Space.VdsoBase == 0 || fault.Kind is ExceptionVector.DB or ExceptionVector.BP)
        {
            return false;
        }
        regs.Rdi = fault.Vector;
        regs.Rsi = fault.ErrorCode;
        regs.Rdx = fault.Address;
        regs.Rip = thread.Space.VdsoBase + (ulong)_image.Vdso.ExceptionOffset;
        Resume(thread, ref regs, SignalNumber(fault));
        return true;
    }

    private static void Deliver(TracedThread thread, ref UserRegs regs, ref SigInfo info)
    {
        if (PtraceCalls.SetRegs(thread.Tid, regs) && PtraceCalls.SetSigInfo(thread.Tid, info))
        {
            _ = PtraceCalls.Cont(thread.Tid, info.Signal);
        }
    }

    /// <summary>
    /// Lets the thread go on without a signal. <paramref name="forced"/> is the signal that the kernel forced to stop it, zero for
    /// none: what that did to mask and disposition is undone.
    /// </summary>
    private void Resume(TracedThread thread, ref UserRegs regs, int forced)
    {
        if (forced != 0 && WasDisturbed(thread, forced))
        {
            using InjectedCalls calls = InjectedCalls.Begin(thread, _image.Gadget(thread.Space), regs);
            RestoreDisposition(thread, calls, forced);
        }
        else if (!PtraceCalls.SetRegs(thread.Tid, regs))
        {
            return;
        }
        if (forced != 0)
        {
            RestoreMask(thread, forced);
        }
        if (thread.Ended is null)
        {
            _ = PtraceCalls.Cont(thread.Tid, 0);
        }
    }

    private static bool WasDisturbed(TracedThread thread, int signal)
    {
        bool blocked = (thread.MaskAtEntry & Spawn.LaunchEnvironment.SignalBit(signal)) != 0;
        ulong handler = thread.Dispositions[signal].Handler;
        return (blocked && handler != SIG_DFL) || handler == SIG_IGN;
    }

    private static void RestoreMask(TracedThread thread, int signal)
    {
        if ((thread.MaskAtEntry & Spawn.LaunchEnvironment.SignalBit(signal)) != 0)
        {
            _ = PtraceCalls.SetSigMask(thread.Tid, thread.MaskAtEntry);
        }
    }

    private void RestoreDisposition(TracedThread thread, in InjectedCalls calls, int signal)
    {
        ulong scratch = VdsoData.ScratchAddress(_image.DataArea(thread.Space));
        ReadOnlySpan<KernelSigAction> action = new(ref thread.Dispositions[signal]);
        if (thread.Space.Memory.Poke(scratch, System.Runtime.InteropServices.MemoryMarshal.AsBytes(action)))
        {
            _ = calls.Call(SYS_rt_sigaction, (ulong)signal, scratch, 0, sizeof(ulong));
        }
    }

    private bool ReadXsave(TracedThread thread, out Span<byte> xsave)
    {
        int length = PtraceCalls.GetXState(thread.Tid, _xsave);
        xsave = length > 0 ? _xsave.AsSpan(0, length) : default;
        return length > 0;
    }

    /// <summary>The siginfo that the kernel's exception handlers make of a fault (arch/x86/kernel/traps.c, arch/x86/mm/fault.c).</summary>
    private static SigInfo SignalOf(Fault fault, ulong rip)
    {
        SigInfo info = default;
        info.Signal = SignalNumber(fault);
        Translate(ref info, fault, rip);
        return info;
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
            case ExceptionVector.PF when (fault.ErrorCode & (uint)PageFaultError.Sgx) != 0 || info.Signal == SIGSEGV:
                info.Signal = SIGSEGV;
                info.Code = (fault.ErrorCode & (uint)PageFaultError.Present) != 0 ? SEGV_ACCERR : SEGV_MAPERR;
                info.Address = fault.Address;
                break;
            case ExceptionVector.PF:
                info.Address = fault.Address;
                break;
            case ExceptionVector.GP or ExceptionVector.SS:
                info.Code = SI_KERNEL;
                info.Address = 0;
                break;
            case ExceptionVector.BP:
                info.Code = SI_KERNEL;
                break;
            default:
                info.Code = info.Code != 0 ? info.Code : ILL_ILLOPN;
                info.Address = rip;
                break;
        }
    }
}
