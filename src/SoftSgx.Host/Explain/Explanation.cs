using System.Globalization;

namespace SoftSgx.Host.Explain;

/// <summary>How far a property of SGX holds here.</summary>
public enum Enforcement
{
    /// <summary>As on hardware.</summary>
    Enforced,

    /// <summary>With exceptions, which the reason names.</summary>
    Partly,

    /// <summary>Not at all.</summary>
    NotEnforced,
}

/// <summary>A property of SGX and how far it holds on a host.</summary>
/// <param name="Topic">A short stable name, for scripts.</param>
/// <param name="Property">What hardware guarantees.</param>
/// <param name="Verdict">How far that holds here.</param>
/// <param name="Reason">Why.</param>
/// <param name="Cure">What helps; an empty string if nothing is needed, or nothing does.</param>
public sealed record Statement(string Topic, string Property, Enforcement Verdict, string Reason, string Cure = "");

/// <summary>What a host can and cannot enforce: docs/limits.md, applied to its facts.</summary>
public static class Explanation
{
    private const string Hardware = "a machine with SGX";

    /// <summary>The statements, the most important first.</summary>
    /// <param name="host">The host.</param>
    /// <param name="whyNoDevice">Why the platform asked for has no enclave device; null if it has one.</param>
    public static IReadOnlyList<Statement> Of(HostFacts host, string? whyNoDevice = null)
    {
        ArgumentNullException.ThrowIfNull(host);
        return
        [
            Devices(host, whyNoDevice),
            new("identity", "MRENCLAVE, SIGSTRUCT, launch control", Enforcement.Enforced,
                "measured from the operations and verified by the manual's rules; nothing is taken from what the program claims"),
            Keys(host),
            new("attestation", "quotes that others can verify", Enforcement.NotEnforced,
                "no quote made here verifies as Intel's, and there are none yet", Hardware),
            Confidentiality(host),
            new("entry", "enclave code runs after EENTER only", Enforcement.Partly,
                "EENTER, ERESUME and EEXIT check what the manual says; but the program can jump to enclave code, which then runs as ordinary code, "
                    + "without keys and reports", Hardware),
            Permissions(host),
            Evicted(host),
            Instructions(host),
            Cpuid(host),
            new("exits", "asynchronous exits take the registers away", Enforcement.Enforced,
                "general and extended registers go to the SSA frame and are replaced by the synthetic state before the program runs on "
                    + "(in the SSA frame they can be read as all enclave memory can)"),
            Ageing(host),
            KernelAccess(host),
            Threads(host),
            new("debuggers", "gdb and strace inside", Enforcement.NotEnforced,
                "the supervisor is the program's tracer, and a process has one; set-user-id programs gain nothing (no_new_privs)",
                "softsgx run --trace shows what strace would of SGX"),
        ];
    }

    private static Statement Devices(HostFacts host, string? whyNoDevice)
    {
        const string Property = "programs find SGX";
        if (whyNoDevice is not null)
        {
            return new("devices", Property, Enforcement.NotEnforced,
                $"as Linux would, softsgx offers no enclave device on this platform: {whyNoDevice}", "--launch-control writable");
        }
        if (host.ProcessorDifference is string difference)
        {
            return new("devices", Property, Enforcement.NotEnforced,
                $"nothing runs: {difference}", "taskset -c LIST softsgx run …, on processors that are alike");
        }
        if (host.PtraceProblem is string ptrace)
        {
            return new("devices", Property, Enforcement.NotEnforced, ptrace, "in a container --cap-add=SYS_PTRACE or a seccomp profile that has it; elsewhere kernel.yama.ptrace_scope=1");
        }
        if (!host.HasSeccomp)
        {
            return new("devices", Property, Enforcement.NotEnforced, "the kernel has no seccomp filters that call a tracer", "a kernel with CONFIG_SECCOMP_FILTER");
        }
        if (host.UserfaultfdErrno != 0)
        {
            return new("devices", Property, Enforcement.NotEnforced,
                string.Create(CultureInfo.InvariantCulture, $"programs start, but opening the device gives ENODEV: userfaultfd fails (errno {host.UserfaultfdErrno})"),
                "allow userfaultfd in the container's seccomp profile; a kernel with CONFIG_USERFAULTFD");
        }
        if (!host.CanWriteProtectSharedMemory)
        {
            return new("devices", Property, Enforcement.NotEnforced,
                "programs start, but opening the device gives ENODEV: userfaultfd cannot write-protect shared memory", "Linux 5.19 with CONFIG_PTE_MARKER_UFFD_WP");
        }
        return new("devices", Property, Enforcement.Enforced,
            host.HasSgx ? "devices, CPUID and vDSO are softsgx's; this machine's own SGX is not used" : "devices, CPUID and vDSO are softsgx's",
            host.HasSgx ? "run the program without softsgx for the real thing" : "");
    }

    private static Statement Keys(HostFacts host) => host.SecretProblem is string problem
        ? new("keys", "keys and reports are the platform's own", Enforcement.Partly,
            $"the platform's secret cannot be kept ({problem}): sealed data is lost after the run", "set XDG_STATE_HOME to a writable directory")
        : new("keys", "keys and reports are the platform's own", Enforcement.Partly,
            "derived by the manual's rules from a secret of this user; who reads its file can derive every key", Hardware);

    private static Statement Confidentiality(HostFacts host) => new(
        "confidentiality", "nobody outside reads or writes enclave memory", Enforcement.NotEnforced,
        "enclave code runs natively in the program's own process: the program, root and debuggers read and write it (--strict keeps the "
            + "program's own instructions out while none of its threads is inside); "
            + (host.HasProtectionKeys ? "this processor's protection keys are not used for it" : "this processor has no protection keys that could keep the program out"),
        Hardware);

    private static Statement Permissions(HostFacts host) => host.CanRun
        ? new("permissions", "the EPCM's permissions hold inside", Enforcement.Enforced,
            "each page is mapped with what the program asks and the EPCM allows; absent and pending pages fault")
        : new("permissions", "the EPCM's permissions hold inside", Enforcement.NotEnforced, "there are no enclaves on this host");

    private static Statement Evicted(HostFacts host) => host.CanRun
        ? new("paging", "pages outside the EPC are encrypted, authentic and fresh", Enforcement.Enforced,
            "EWB and ELDU with real cryptography and version arrays; the EPC has the size of --epc, and no page counts twice")
        : new("paging", "pages outside the EPC are encrypted, authentic and fresh", Enforcement.NotEnforced, "there are no enclaves on this host");

    private static Statement Instructions(HostFacts host) => new(
        "instructions", "illegal instructions raise #UD inside", Enforcement.Partly,
        "SYSCALL, SYSENTER, INT, IN and OUT do; CPUID, RDTSC, RDPMC, SGDT and far transfers execute"
            + (host.CpuidCanFault ? "; this processor could make CPUID fault, which is not used yet" : "; this processor cannot make CPUID fault for one thread"),
        "test handlers of those on hardware");

    private static Statement Cpuid(HostFacts host) => new(
        "cpuid", "CPUID shows SGX outside", Enforcement.Partly,
        "CPUID instructions are replaced where disassembly proves them; data that looks like one, and code made executable without mprotect, "
            + "gives the real processor's answer"
            + (host.HasSgx ? " (which has SGX, with other limits)" : ""));

    private static Statement Ageing(HostFacts host) => host.HasPagemap
        ? new("ageing", "the reclaimer spares pages in use", Enforcement.Enforced,
            "page table entries are dropped and looked at again, by a process that shares the address space; not in programs under seccomp filters of their own")
        : new("ageing", "the reclaimer spares pages in use", Enforcement.NotEnforced,
            "/proc/PID/pagemap does not tell which pages are present: pages leave in the order in which they came", "mount /proc, without hidepid");

    private static Statement Threads(HostFacts host) => new(
        "threads", "threads enter and leave in parallel", Enforcement.Partly,
        host.HasFsGsBase
            ? "EENTER and EEXIT complete in the program itself, as fast as a system call, once the supervisor has seen a thread and an ENCLU; exceptions, "
                + "ERESUME and all other leaves are done by it, one at a time"
            : "inside they run in parallel; crossings are done one at a time by the supervisor, since this machine lets no program change its FS and GS",
        "measure on hardware; see docs/monitor.md");

    private static Statement KernelAccess(HostFacts host) => new(
        "kernel", "system calls on evicted enclave memory", Enforcement.Partly,
        "they fail with EFAULT, where hardware reads ones"
            + (host.UnprivilegedUserfaultfd == 1 || host.User == 0 ? "; this user could serve such faults too, which softsgx does not" : ""));
}
