using SoftSgx.Kernel;

namespace SoftSgx.Simulation;

/// <summary>What came of running a trace.</summary>
public sealed record SimulationResult
{
    /// <summary>What it was run against.</summary>
    public required SimulationOptions Options { get; init; }

    /// <summary>Accesses to pages.</summary>
    public required long Accesses { get; init; }

    /// <summary>Accesses that came to a page for the first time, which is then added to its enclave.</summary>
    public required long FirstTouches { get; init; }

    /// <summary>Accesses that found their page swapped out.</summary>
    public required long Faults { get; init; }

    /// <summary>What the kernel counted.</summary>
    public required PagingCounters Counters { get; init; }

    /// <summary>How it went over time, if that was asked for. The last one may be shorter.</summary>
    public required IReadOnlyList<SimulationInterval> Intervals { get; init; }

    /// <summary>How long the run took.</summary>
    public required TimeSpan Elapsed { get; init; }

    /// <summary>Share of all accesses that found their page swapped out.</summary>
    public double FaultRate => Accesses == 0 ? 0 : (double)Faults / Accesses;

    /// <summary>Share of the accesses to pages that exist that found them in the EPC.</summary>
    public double HitRatio => Accesses == FirstTouches ? 1 : 1 - ((double)Faults / (Accesses - FirstTouches));
}

/// <summary>A part of a run.</summary>
/// <param name="Accesses">Accesses up to its end.</param>
/// <param name="FirstTouches">First touches in it.</param>
/// <param name="Faults">Faults in it.</param>
/// <param name="Evictions">Pages evicted in it.</param>
public readonly record struct SimulationInterval(long Accesses, long FirstTouches, long Faults, long Evictions);
