using System.Globalization;
using System.Runtime.InteropServices;
using SoftSgx.Host.Interop;
using SoftSgx.Host.Ptrace;
using SoftSgx.Host.Spawn;
using SoftSgx.Host.Supervision;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Signals;

/// <summary>A signal that the kernel forced upon a thread for an event that on a machine with SGX raises none.</summary>
/// <remarks>
/// To force a blocked or ignored signal the kernel first makes its disposition SIG_DFL and unblocks it, and suppressing the signal
/// does not bring that back. Inside an enclave none is blocked (<see cref="TracedThread.UnblockInside"/>). Outside (a program that
/// executes ENCLU itself, or CPUID) the disposition betrays it: if the program has a handler and the kernel knows of none, the
/// signal was blocked. Of a signal with the default disposition that cannot be told; it stays unblocked, and a fault that would
/// have killed the program still does.
/// </remarks>
internal readonly record struct ForcedSignal
{
    private readonly int _signal;
    private readonly bool _isInside;
    private readonly bool _isCall;

    private ForcedSignal(int signal, bool isInside)
    {
        _signal = signal;
        _isInside = isInside;
        _isCall = false;
    }

    private ForcedSignal(bool isCall)
        : this(0, false) => _isCall = isCall;

    /// <summary>No signal was forced.</summary>
    internal static ForcedSignal None => default;

    /// <summary>The thread stopped at a system call, where none can be delivered (ptrace(2), "Signal injection and suppression").</summary>
    internal static ForcedSignal AtCall => new(isCall: true);

    /// <summary>The signal that stopped the thread just now.</summary>
    internal static ForcedSignal At(TracedThread thread, int signal) => new(signal, thread.Processor.InEnclave);

    /// <summary>Puts disposition and mask back; <paramref name="regs"/> are those that the thread will go on with.</summary>
    internal ForcedSignal Undo(TracedThread thread, ProgramImage image, ref UserRegs regs)
    {
        if (_signal == 0)
        {
            return None;
        }
        bool wasReset = WasReset(thread, out bool wasBlocked);
        if (wasReset)
        {
            ReinstallDisposition(thread, image, regs);
        }
        if (wasBlocked && PtraceCalls.GetSigMask(thread.Tid, out ulong mask))
        {
            _ = PtraceCalls.SetSigMask(thread.Tid, mask | LaunchEnvironment.SignalBit(_signal));
        }
        return None;
    }

    /// <summary>
    /// True if a signal of another number can be delivered at this stop in place of the one that was forced, as it is: nothing has to be
    /// undone, and the other is neither blocked nor ignored, which a fault's signal takes no notice of.
    /// </summary>
    internal bool CanBecome(TracedThread thread, int signal)
    {
        if (_isInside && (thread.MaskAtEntry & LaunchEnvironment.SignalBit(_signal)) != 0)
        {
            return false; // it was not forced as a blocked signal is
        }
        if (_signal == 0 || _signal == signal)
        {
            return !_isCall;
        }
        bool wasReset = WasReset(thread, out bool wasBlocked);
        return !wasReset && !wasBlocked && thread.Dispositions[signal].Handler != SIG_IGN
            && PtraceCalls.GetSigMask(thread.Tid, out ulong mask) && (mask & LaunchEnvironment.SignalBit(signal)) == 0;
    }

    private bool WasReset(TracedThread thread, out bool wasBlocked)
    {
        ulong bit = LaunchEnvironment.SignalBit(_signal);
        ulong handler = thread.Dispositions[_signal].Handler;
        bool wasReset = _isInside
            ? handler == SIG_IGN
            : handler != SIG_DFL && (ProcStatus.Mask(thread.Tid.ToString(CultureInfo.InvariantCulture), handler == SIG_IGN ? "SigIgn" : "SigCgt") & bit) == 0;
        wasBlocked = !_isInside && wasReset && handler != SIG_IGN;
        return wasReset;
    }

    private void ReinstallDisposition(TracedThread thread, ProgramImage image, in UserRegs regs)
    {
        ulong scratch = VdsoData.ScratchAddress(image.DataArea(thread.Space));
        ReadOnlySpan<KernelSigAction> action = new(ref thread.Dispositions[_signal]);
        if (thread.Space.VdsoBase != 0 && thread.Space.Memory.Poke(scratch, MemoryMarshal.AsBytes(action)))
        {
            using InjectedCalls calls = InjectedCalls.Begin(thread, image.Gadget(thread.Space), regs);
            _ = calls.Call(SYS_rt_sigaction, (ulong)_signal, scratch, 0, sizeof(ulong));
        }
    }
}
