using SoftSgx.Host.Interop;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Signals;

/// <summary>A signal that does nothing but interrupt a system call of the thread that it is sent to.</summary>
internal static class WakeSignal
{
    /// <summary>A real-time signal that neither the C library nor the runtime uses, which take the first ones.</summary>
    internal const int Number = SIGRTMAX - 3;

    /// <summary>The handler: <c>ret</c>.</summary>
    private static ReadOnlySpan<byte> Handler => [0xC3];

    /// <summary>Installs it for the process, once; calls that it interrupts are not restarted.</summary>
    internal static void Install() => SignalForwarder.Set(Number, ExecutableMemory.Allocate(Handler), 0);
}
