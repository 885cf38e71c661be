namespace SoftSgx.Host.Explain;

/// <summary>What there is to know of a host before a program runs on it.</summary>
public sealed record HostFacts
{
    /// <summary>Version of the kernel, as uname says it.</summary>
    public required string KernelRelease { get; init; }

    /// <summary>Name of the processor.</summary>
    public required string Processor { get; init; }

    /// <summary>The processor has SGX (CPUID leaf 7).</summary>
    public required bool HasSgx { get; init; }

    /// <summary>The kernel has the SGX device.</summary>
    public required bool HasSgxDevice { get; init; }

    /// <summary>CPUID can be made to fault for one thread (arch_prctl, ARCH_CPUID_FAULT).</summary>
    public required bool CpuidCanFault { get; init; }

    /// <summary>The processor has protection keys for user pages, and the kernel uses them.</summary>
    public required bool HasProtectionKeys { get; init; }

    /// <summary>Programs may read and write the bases of FS and GS (FSGSBASE).</summary>
    public bool HasFsGsBase { get; init; }

    /// <summary>Processes may trace their children; null if they may, else why not.</summary>
    public required string? PtraceProblem { get; init; }

    /// <summary>The kernel has seccomp filters that hand a call to a tracer.</summary>
    public required bool HasSeccomp { get; init; }

    /// <summary>userfaultfd for accesses in user mode; 0 or the errno that it gives.</summary>
    public required int UserfaultfdErrno { get; init; }

    /// <summary>userfaultfd can write-protect shared memory.</summary>
    public required bool CanWriteProtectSharedMemory { get; init; }

    /// <summary>vm.unprivileged_userfaultfd: 1 also for accesses of the kernel; null where there is none.</summary>
    public required int? UnprivilegedUserfaultfd { get; init; }

    /// <summary>/proc/PID/pagemap says which pages are in the page tables.</summary>
    public required bool HasPagemap { get; init; }

    /// <summary>Effective user id.</summary>
    public required int User { get; init; }

    /// <summary>Why the platform's secret would not be kept; null if it is.</summary>
    public required string? SecretProblem { get; init; }

    /// <summary>How the processors that we may run on differ from each other; null if they do not.</summary>
    public string? ProcessorDifference { get; init; }

    /// <summary>Programs find SGX here, and their enclaves can be created.</summary>
    public bool CanRun =>
        ProcessorDifference is null && PtraceProblem is null && HasSeccomp && UserfaultfdErrno == 0 && CanWriteProtectSharedMemory;
}
