using System.Diagnostics;
using System.Runtime.ExceptionServices;
using System.Text;
using SoftSgx.Host.Cpuid;
using SoftSgx.Host.Devices;
using SoftSgx.Host.Enclaves;
using SoftSgx.Host.Interop;
using SoftSgx.Host.Paging;
using SoftSgx.Host.Platform;
using SoftSgx.Host.Ptrace;
using SoftSgx.Host.Signals;
using SoftSgx.Host.Spawn;
using SoftSgx.Host.Statistics;
using SoftSgx.Host.Supervision;
using SoftSgx.Host.Tracing;
using SoftSgx.Kernel;
using SoftSgx.Kernel.Tracing;
using SoftSgx.Processor;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host;

/// <summary>How a program is to be run.</summary>
public sealed record RunOptions
{
    /// <summary>The EPC that all enclaves of the run share; nodes from 0 to 63.</summary>
    public EpcLayout Epc { get; init; } = new((32_768, 0));

    /// <summary>How the reclaimer works.</summary>
    public ReclaimSettings Reclaim { get; init; } = new();

    /// <summary>EPC pages that suffer a memory failure before the program starts.</summary>
    public IReadOnlyList<int> PoisonedPages { get; init; } = [];

    /// <summary>Called when the program has ended, however it did, before this process ends the same way.</summary>
    public Action<RunStatistics>? Ended { get; init; }

    /// <summary>Takes what happens while the program runs; null if nobody looks. Flushed before this process ends by a signal.</summary>
    public ITrace? Trace { get; init; }

    /// <summary>The processor has SGX1 only: no SGX2, no AEX-Notify.</summary>
    public bool Sgx1 { get; init; }

    /// <summary>The platform that the program runs on; this user's default one if left out.</summary>
    public PlatformIdentity? Platform { get; init; }

    /// <summary>What firmware made of launch control; the platform's if left out.</summary>
    public LaunchControlSetting? LaunchControl { get; init; }

    /// <summary>Who may open the devices.</summary>
    public DeviceAccess Access { get; init; } = new();

    /// <summary>Who may run which enclave, and what its pages are kept from; null if everything is allowed.</summary>
    public SecurityPolicy? Policy { get; init; }

    /// <summary>Takes the policy's audit lines; standard error if left out.</summary>
    public IAuditLog? Audit { get; init; }

    /// <summary>CPUID leaf 0 says "GenuineIntel" whatever the processor is.</summary>
    public bool GenuineIntel { get; init; }

    /// <summary>
    /// Outside enclaves their memory reads as ones and writes to it vanish, as far as the host can: docs/supervision.md.
    /// </summary>
    public bool Strict { get; init; }

    /// <summary>Every transition is done by the model, none in the program itself.</summary>
    public bool Exact { get; init; }

    /// <summary>For tests: the program may ask for signals in the middle of transitions, see <see cref="Monitor.MonitorProbe"/>.</summary>
    public bool ProbeMonitor { get; init; }

    /// <summary>The program and its arguments: as many of our own command line's last arguments.</summary>
    public required int ArgumentCount { get; init; }
}

/// <summary>Runs an unmodified program on a machine that then seems to have SGX.</summary>
public static class ProgramRunner
{
    /// <summary>SoftSGX itself failed before the program ran.</summary>
    public const int ExitOwnFailure = 125;

    /// <summary>The program was found but could not be executed.</summary>
    public const int ExitNotExecutable = 126;

    /// <summary>The program was not found.</summary>
    public const int ExitNotFound = 127;

    /// <summary>
    /// Runs the program to its end. Returns its exit status; if a signal ended it, this process ends by the same signal and the
    /// method does not return.
    /// </summary>
    /// <param name="options">How to run it.</param>
    /// <param name="warn">Takes one-line warnings for the user.</param>
    /// <exception cref="HostException">This host lacks something; the message says what and the cure.</exception>
    public static int Run(RunOptions options, Action<string> warn)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(warn);
        IReadOnlyList<byte[]> arguments = LaunchEnvironment.RawArguments(options.ArgumentCount);
        string name = Encoding.UTF8.GetString(arguments[0]);
        (byte[]? path, int missing) = ProgramPath.Find(arguments[0]);
        if (path is null)
        {
            return CannotExecute(warn, name, missing);
        }

        if (ProcessorSurvey.Difference() is string difference)
        {
            throw new HostException(
                $"{difference}. A thread inside an enclave may move from one to the other: "
                + "keep the program on processors that are alike, with taskset -c LIST softsgx run …");
        }
        PlatformIdentity identity = options.Platform ?? PlatformDirectory.OfThisUser.Open(PlatformIdentity.DefaultName);
        LaunchEnvironment launch = LaunchEnvironment.Read(); // before our own handlers change what there is to read
        SignalForwarder signals = SignalForwarder.Install();
        using HostEpcPlatform platform = new(options.Epc.Pages);
        ProcessorConfiguration configuration = HostProcessor.Configure(
            options.Epc, options.Sgx1 || identity.Sgx1, options.LaunchControl ?? identity.LaunchControl);
        SgxProcessor processor = new(configuration, identity.Secrets, options.Epc.Pages, platform);
        using AuditLog standardError = new();
        PolicyModule? policy = options.Policy is null ? null : new(options.Policy, options.Audit ?? standardError);
        using TransitionLog? trace = options.Trace is null ? null : new TransitionLog(options.Trace);
        SgxSubsystem subsystem = new(processor, platform, new SubsystemOptions
        {
            Layout = options.Epc,
            Reclaim = options.Reclaim,
            Security = policy,
            CurrentTask = static () => HostTask.Current,
            Trace = trace,
        });
        foreach (int page in options.PoisonedPages)
        {
            _ = subsystem.Poison(page);
        }
        CpuidTraps cpuid = new(new CpuidFeatures(configuration.Features)
        {
            LaunchControl = configuration.SgxLaunchControl,
            GenuineIntel = options.GenuineIntel,
        });
        FaultVerdicts verdicts = new();
        using Pager pager = new(subsystem, verdicts, trace);
        DeviceAccess access = options.Access with { AreThere = subsystem.Device.IsPresent };
        using Supervisor supervisor = new(
            subsystem, platform, pager, verdicts, cpuid, access, options.Strict, options.Exact, options.ProbeMonitor, trace, warn)
        {
            // Of interest only to those who use SGX at all.
            NoticeAtFirstEnclave = identity.WhyTemporary is null ? null
                : $"the platform's secret cannot be kept ({identity.WhyTemporary}): keys and sealed data are lost after this run. Set XDG_STATE_HOME to a writable directory",
        };

        using SyscallScript script = new();
        long start = 0;
        WaitStatus status = OnOwnThread("tracer", () =>
        {
            StartedProgram started = ProgramStarter.Start(script, path, arguments, launch);
            if (!started.Started)
            {
                throw new HostException(
                    started.FailedCall == "ptrace" && ProcStatus.IsTraced
                    ? "softsgx itself runs under softsgx run, strace or a debugger, and a process has one tracer only: programs inside find SGX already"
                    : started.FailedCall == "ptrace"
                    ? $"this machine does not let us trace the program (ptrace: errno {started.Errno}). In a container, allow ptrace (--cap-add=SYS_PTRACE or a seccomp profile that has it); elsewhere see /proc/sys/kernel/yama/ptrace_scope"
                    : $"cannot start a process ({started.FailedCall}: errno {started.Errno})");
            }
            start = Stopwatch.GetTimestamp();
            signals.StartForwarding(started.Pid);
            subsystem.Reclaimer.Start();
            pager.Start();
            return supervisor.Run(started.Pid, SignalDispositions.WithIgnored(launch.IgnoredSignals));
        });
        subsystem.Reclaimer.Stop();
        if (script.Failure is (string call, int errno))
        {
            return call == "execve"
                ? CannotExecute(warn, name, errno)
                : throw new HostException($"this machine does not let us prepare the program ({call}: errno {errno})"
                    + (call == "seccomp" ? "; the kernel needs CONFIG_SECCOMP_FILTER" : ""));
        }
        options.Ended?.Invoke(new RunStatistics(
            Stopwatch.GetElapsedTime(start), options.Epc, options.Reclaim, options.PoisonedPages, subsystem.Counters, subsystem.Reports)
        {
            Transitions = supervisor.Transitions,
            Policy = policy?.Report,
        });
        if (status.Signaled)
        {
            trace?.Flush();
            SignalForwarder.DieOf(status.TerminatingSignal);
        }
        return status.ExitCode;
    }

    /// <summary>
    /// Executes something on a thread of its own. This process's first thread is no tracer: orphans of the program become its children, and a tracer
    /// that is a parent too would take their stops from their own tracers.
    /// </summary>
    private static T OnOwnThread<T>(string name, Func<T> function)
    {
        T? result = default;
        ExceptionDispatchInfo? failure = null;
        Thread thread = new(() =>
        {
            try
            {
                result = function();
            }
            catch (Exception e) // handed on to the caller
            {
                failure = ExceptionDispatchInfo.Capture(e);
            }
        })
        {
            Name = name,
        };
        thread.Start();
        thread.Join();
        failure?.Throw();
        return result!;
    }

    private static int CannotExecute(Action<string> warn, string name, int errno)
    {
        warn($"cannot run '{name}': " + errno switch
        {
            ENOENT => "no such file",
            EACCES => "permission denied (not an executable file)",
            ENOEXEC => "exec format error (neither a program for this machine nor a script with #!)",
            ENOTDIR => "a component of the path is not a directory",
            EISDIR => "it is a directory",
            _ => $"execve failed (errno {errno})",
        });
        return errno is ENOENT or ENOTDIR ? ExitNotFound : ExitNotExecutable;
    }
}
