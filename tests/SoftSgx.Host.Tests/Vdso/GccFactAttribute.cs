namespace SoftSgx.Host.Tests.Vdso;

/// <summary>A test that compiles and runs a C++ program; skipped, with the reason, where that cannot be done.</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class GccFactAttribute : FactAttribute
{
    public GccFactAttribute()
    {
        if (!OperatingSystem.IsLinux())
        {
            Skip = "not Linux";
        }
        else if (!OnPath("g++"))
        {
            Skip = "g++ is not installed";
        }
        else if (!File.Exists("/proc/sys/kernel/seccomp/actions_avail"))
        {
            Skip = "the kernel has no seccomp filters";
        }
    }

    private static bool OnPath(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Any(folder => File.Exists(Path.Combine(folder, program)));
}
