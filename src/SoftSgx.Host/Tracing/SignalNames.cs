using System.Globalization;
using SoftSgx.Host.Ptrace;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Tracing;

/// <summary>Names of signals and of what they say: asm/signal.h, asm-generic/siginfo.h.</summary>
internal static class SignalNames
{
    private const int FirstRealTime = 32;

    private static readonly string[] s_names =
    [
        "SIGHUP", "SIGINT", "SIGQUIT", "SIGILL", "SIGTRAP", "SIGABRT", "SIGBUS", "SIGFPE", "SIGKILL", "SIGUSR1", "SIGSEGV", "SIGUSR2",
        "SIGPIPE", "SIGALRM", "SIGTERM", "SIGSTKFLT", "SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGXCPU",
        "SIGXFSZ", "SIGVTALRM", "SIGPROF", "SIGWINCH", "SIGIO", "SIGPWR", "SIGSYS",
    ];

    private static readonly string[] s_childCodes = ["CLD_EXITED", "CLD_KILLED", "CLD_DUMPED", "CLD_TRAPPED", "CLD_STOPPED", "CLD_CONTINUED"];

    /// <summary>The name of a signal.</summary>
    internal static string Of(int signal) =>
        signal >= 1 && signal <= s_names.Length ? s_names[signal - 1]
        : string.Create(CultureInfo.InvariantCulture, $"SIGRT_{signal - FirstRealTime}");

    /// <summary>The name of <c>si_code</c>, which depends on the signal.</summary>
    internal static string Code(in SigInfo info) => (info.Signal, info.Code) switch
    {
        (_, 0) => "SI_USER",
        (_, -1) => "SI_QUEUE",
        (_, -2) => "SI_TIMER",
        (_, -6) => "SI_TKILL",
        (_, SI_KERNEL) => "SI_KERNEL",
        (SIGSEGV, SEGV_MAPERR) => "SEGV_MAPERR",
        (SIGSEGV, SEGV_ACCERR) => "SEGV_ACCERR",
        (SIGBUS, BUS_ADRALN) => "BUS_ADRALN",
        (SIGBUS, BUS_ADRERR) => "BUS_ADRERR",
        (SIGILL, ILL_ILLOPN) => "ILL_ILLOPN",
        (SIGFPE, FPE_INTDIV) => "FPE_INTDIV",
        (SIGTRAP, TRAP_BRKPT) => "TRAP_BRKPT",
        (SIGCHLD, >= 1 and <= 6) => s_childCodes[info.Code - 1],
        _ => info.Code.ToString(CultureInfo.InvariantCulture),
    };
}
