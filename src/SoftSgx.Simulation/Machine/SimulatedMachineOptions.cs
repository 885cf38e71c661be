using SoftSgx.Kernel;

namespace SoftSgx.Simulation;

/// <summary>What can be chosen about a simulated machine.</summary>
public sealed record SimulatedMachineOptions
{
    /// <summary>Number of EPC pages.</summary>
    public required int EpcPages { get; init; }

    /// <summary>Pages have contents, encrypted when they leave the EPC. Otherwise pages are all alike and only their paging is real.</summary>
    public bool WithContents { get; init; } = true;

    /// <summary>How the reclaimer works.</summary>
    public ReclaimSettings Reclaim { get; init; } = new();

    /// <summary>Who runs the reclaimer.</summary>
    public ReclaimerMode Reclaimer { get; init; } = ReclaimerMode.Inline;

    /// <summary>Who decides which thread goes on; only for <see cref="ReclaimerMode.Scheduled"/>.</summary>
    public IKernelScheduler? Scheduler { get; init; }
}
