using SoftSgx.Host.Interop;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Signals;

/// <summary>A signal that does nothing but interrupt a system call of the thread that it is sent to.</summary>
internal static class WakeSignal
{
    /// <summary>
    /// Nobody else's: no processor that Linux runs on raises it. A real-time signal would queue, up to a limit that all processes of the user
    /// share, beyond which it is not sent (RLIMIT_SIGPENDING, getrlimit(2)).
    /// </summary>
    internal const int Number = SIGSTKFLT;

    /// <summary>The handler: <c>ret</c>.</summary>
    private static ReadOnlySpan<byte> Handler => [0xC3];

    /// <summary>Installs it for the process, once; calls that it interrupts are not restarted.</summary>
    internal static void Install() => SignalForwarder.Set(Number, ExecutableMemory.Allocate(Handler), 0);
}
