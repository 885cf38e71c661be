using SoftSgx.Host.Interop;

namespace SoftSgx.Host.Tests.EndToEnd;

/// <summary>A test that runs the published command on programs that gcc builds; skipped, with the reason, where that cannot be done.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class EndToEndFactAttribute : FactAttribute
{
    public EndToEndFactAttribute() => Skip = Capabilities.Missing;
}

/// <summary>The same for a test with data.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class EndToEndTheoryAttribute : TheoryAttribute
{
    public EndToEndTheoryAttribute() => Skip = Capabilities.Missing;
}

/// <summary>What these tests need of the machine.</summary>
internal static class Capabilities
{
    /// <summary>What is missing, or null.</summary>
    internal static string? Missing { get; } = Find();

    private static string? Find() =>
        !OperatingSystem.IsLinux() || System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture != System.Runtime.InteropServices.Architecture.X64
            ? "not Linux on x86-64"
        : !OnPath("gcc") ? "gcc is not installed"
        : !File.Exists("/proc/sys/kernel/seccomp/actions_avail") ? "the kernel has no seccomp filters"
        : !MayTrace() ? "this environment does not let processes trace each other"
        : null;

    internal static bool OnPath(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(folder => File.Exists(Path.Combine(folder, program)));

    /// <summary>Tracing a thread of one's own process is refused with EPERM where it is allowed at all, unless a filter forbids it all.</summary>
    private static bool MayTrace()
    {
        const int PTRACE_PEEKDATA = 2, ESRCH = 3;
        // Of a process that does not exist: ESRCH from ptrace itself, something else from a filter that keeps it away.
        return Libc.Syscall(Native.SYS_ptrace, PTRACE_PEEKDATA, int.MaxValue, 0, 0) == -1 && Libc.Errno == ESRCH;
    }
}
