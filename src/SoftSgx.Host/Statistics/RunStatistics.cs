using SoftSgx.Kernel;

namespace SoftSgx.Host.Statistics;

/// <summary>What there is to tell of a run when the program has ended.</summary>
/// <param name="Duration">From the start of the program to its end.</param>
/// <param name="Epc">The sections of the EPC.</param>
/// <param name="Reclaim">How the reclaimer worked.</param>
/// <param name="PoisonedPages">EPC pages that suffered a memory failure before the start.</param>
/// <param name="Total">What paging did for all enclaves together.</param>
/// <param name="Enclaves">Each enclave, in the order of their creation.</param>
public sealed record RunStatistics(
    TimeSpan Duration,
    EpcLayout Epc,
    ReclaimSettings Reclaim,
    IReadOnlyList<int> PoisonedPages,
    PagingCounters Total,
    IReadOnlyList<EnclaveReport> Enclaves)
{
    /// <summary>How threads entered and left enclaves.</summary>
    public required TransitionStatistics Transitions { get; init; }

    /// <summary>What the policy refused; null if there was none.</summary>
    public PolicyReport? Policy { get; init; }
}
