using SoftSgx.Kernel;

namespace SoftSgx.Simulation;

/// <summary>What a trace is run against.</summary>
public sealed record SimulationOptions
{
    /// <summary>Size of the EPC in pages.</summary>
    public required int EpcPages { get; init; }

    /// <summary>How the reclaimer works, policy included.</summary>
    public ReclaimSettings Reclaim { get; init; } = new();

    /// <summary>Accesses of an interval of <see cref="SimulationResult.Intervals"/>; 0 for none.</summary>
    public long Interval { get; init; }
}
