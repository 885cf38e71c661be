using System.Runtime.InteropServices;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Signals;

/// <summary>What the kernel keeps for a signal: <c>struct kernel_sigaction</c> of x86-64, as rt_sigaction(2) takes it.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 8)]
internal struct KernelSigAction
{
    internal ulong Handler, Flags, Restorer, Mask;

    internal const int Size = 32;
}

/// <summary>
/// The program's own dispositions of the five signals that faults raise, shared by the threads that share a signal table.
/// </summary>
/// <remarks>
/// When a fault's signal is blocked or ignored, the kernel resets its disposition to SIG_DFL and unblocks it before the tracer sees
/// the stop (force_sig in kernel/signal.c). On a machine with SGX the events that we emulate raise no signal at all, so whatever
/// was reset must be put back; this is what to put back.
/// </remarks>
internal sealed class SignalDispositions
{
    private readonly KernelSigAction[] _actions = new KernelSigAction[32];

    /// <summary>True for the signals that are kept here.</summary>
    internal static bool IsKept(int signal) => signal is SIGILL or SIGTRAP or SIGBUS or SIGFPE or SIGSEGV;

    /// <summary>The same as a signal mask: bit n-1 is signal n.</summary>
    internal const ulong KeptSignals = (1UL << (SIGILL - 1)) | (1UL << (SIGTRAP - 1)) | (1UL << (SIGBUS - 1)) | (1UL << (SIGFPE - 1)) | (1UL << (SIGSEGV - 1));

    internal ref KernelSigAction this[int signal] => ref _actions[signal];

    /// <summary>A signal goes to its handler: one of SA_RESETHAND is called once only.</summary>
    internal void OnDelivered(int signal)
    {
        if (IsKept(signal) && _actions[signal].Handler > SIG_IGN && (_actions[signal].Flags & SA_RESETHAND) != 0)
        {
            _actions[signal].Handler = SIG_DFL;
        }
    }

    /// <summary>True if a signal has a handler, while which runs another signal is blocked.</summary>
    internal bool HandlerBlocks(int signal, int blocked)
    {
        if (!IsKept(signal))
        {
            return false;
        }
        ref KernelSigAction action = ref _actions[signal];
        return action.Handler > SIG_IGN
            && ((action.Mask >> (blocked - 1) & 1) != 0 || (signal == blocked && (action.Flags & SA_NODEFER) == 0));
    }

    /// <summary>The copy that a process gets by fork.</summary>
    internal SignalDispositions Copy()
    {
        SignalDispositions copy = new();
        _actions.CopyTo(copy._actions, 0);
        return copy;
    }

    /// <summary>The table after exec: handlers become the default, ignored signals stay ignored (execve(2)).</summary>
    internal SignalDispositions AfterExec()
    {
        SignalDispositions fresh = new();
        for (int signal = 1; signal < _actions.Length; signal++)
        {
            fresh._actions[signal].Handler = _actions[signal].Handler == SIG_IGN ? SIG_IGN : SIG_DFL;
        }
        return fresh;
    }

    /// <summary>The table of a program started with these signals ignored; bit n-1 is signal n.</summary>
    internal static SignalDispositions WithIgnored(ulong mask)
    {
        SignalDispositions table = new();
        for (int signal = 1; signal < table._actions.Length; signal++)
        {
            table._actions[signal].Handler = ((mask >> (signal - 1)) & 1) != 0 ? SIG_IGN : SIG_DFL;
        }
        return table;
    }
}
