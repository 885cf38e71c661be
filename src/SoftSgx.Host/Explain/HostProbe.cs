using System.Globalization;
using System.Runtime.Intrinsics.X86;
using SoftSgx.Host.Interop;
using SoftSgx.Host.Paging;
using SoftSgx.Host.Platform;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Explain;

/// <summary>Looks at this host. Changes nothing, but for the platform's secret, which it leaves to the first run.</summary>
public static unsafe class HostProbe
{
    private const int SYS_geteuid = 107;

    /// <summary>Looks.</summary>
    public static HostFacts Look()
    {
        HashSet<string> flags = [.. CpuInfo("flags").Split(' ')];
        (int errno, bool canProtect) = Userfaultfd();
        return new HostFacts
        {
            KernelRelease = ReadLine("/proc/sys/kernel/osrelease") ?? "unknown",
            Processor = CpuInfo("model name") is { Length: > 0 } name ? name : "unknown",
            HasSgx = X86Base.CpuId(0, 0).Eax >= 7 && ((X86Base.CpuId(7, 0).Ebx >> 2) & 1) != 0,
            HasSgxDevice = File.Exists("/dev/sgx_enclave"),
            CpuidCanFault = flags.Contains("cpuid_fault"),
            HasFsGsBase = Monitor.ProgramMonitor.IsPossible,
            HasProtectionKeys = flags.Contains("ospke"),
            PtraceProblem = PtraceProblem(),
            HasSeccomp = ReadLine("/proc/sys/kernel/seccomp/actions_avail")?.Split(' ').Contains("trace") ?? false,
            UserfaultfdErrno = errno,
            CanWriteProtectSharedMemory = canProtect,
            UnprivilegedUserfaultfd = int.TryParse(ReadLine("/proc/sys/vm/unprivileged_userfaultfd"), CultureInfo.InvariantCulture, out int value) ? value : null,
            HasPagemap = HasPagemap(),
            User = (int)Libc.Syscall(SYS_geteuid),
            ProcessorDifference = ProcessorSurvey.Difference(),
            SecretProblem = PlatformStore.Problem(PlatformStore.DefaultPath),
        };
    }

    /// <summary>A field of the first processor in /proc/cpuinfo; empty if it has none.</summary>
    private static string CpuInfo(string field)
    {
        try
        {
            foreach (string line in File.ReadLines("/proc/cpuinfo"))
            {
                int colon = line.IndexOf(':', StringComparison.Ordinal);
                if (colon > 0 && line.AsSpan(0, colon).TrimEnd().SequenceEqual(field))
                {
                    return line[(colon + 1)..].Trim();
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Nothing is known then.
        }
        return "";
    }

    private static string? ReadLine(string path)
    {
        try
        {
            return File.ReadAllText(path).Trim();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Of a process that does not exist, ptrace itself says ESRCH; a filter that keeps it away says something else.</summary>
    private static string? PtraceProblem()
    {
        const int PTRACE_PEEKDATA = 2;
        _ = Libc.Syscall(SYS_ptrace, PTRACE_PEEKDATA, int.MaxValue, 0, 0);
        return Libc.Errno != ESRCH ? "a filter of this environment forbids ptrace"
            : ReadLine("/proc/sys/kernel/yama/ptrace_scope") == "3" ? "kernel.yama.ptrace_scope is 3, which forbids ptrace to everybody"
            : ProcStatus.IsTraced ? "this process is traced itself, and a process has one tracer only"
            : null;
    }

    private static (int Errno, bool CanWriteProtect) Userfaultfd()
    {
        nint fd = Libc.Syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
        if (fd < 0)
        {
            return (Libc.Errno, false);
        }
        bool has = FaultChannel.TryEnable((int)fd) == 0;
        _ = Libc.Close((int)fd);
        return (0, has);
    }

    private static bool HasPagemap()
    {
        ulong entry = 0;
        using PresentPages? pages = PresentPages.Open(Libc.GetPid());
        return pages is not null && pages.Read((ulong)&entry, new Span<ulong>(ref entry)) && PresentPages.IsPresent(entry);
    }
}
