using SoftSgx.Kernel;

namespace SoftSgx.Simulation.Tests;

public class SimulatorTests
{
    private static readonly ReplacementPolicyKind[] s_policies = Enum.GetValues<ReplacementPolicyKind>();

    [Fact]
    public void What_fits_never_faults()
    {
        SimulationResult result = Run("uniform", enclaveMiB: 16, epcMiB: 17, 200_000, ReplacementPolicyKind.Lru);
        Assert.Equal((0, 1.0), (result.Faults, result.HitRatio));
        Assert.Equal(0, result.Counters.Evictions);
    }

    [Theory]
    [InlineData(ReplacementPolicyKind.Lru)]
    [InlineData(ReplacementPolicyKind.Fifo)]
    [InlineData(ReplacementPolicyKind.TwoQueues)]
    public void Uniform_accesses_hit_in_proportion_to_the_EPC_whatever_the_policy(ReplacementPolicyKind policy)
    {
        SimulationResult result = Run("uniform", enclaveMiB: 64, epcMiB: 32, 400_000, policy);
        double resident = (8192 - 48.0 - 33) / 16384; // without free pages, version arrays and SECS
        Assert.InRange(result.HitRatio, resident - 0.02, resident + 0.02);
    }

    [Fact]
    public void A_loop_that_does_not_fit_always_faults_with_fifo()
    {
        SimulationResult result = Run("sequential", enclaveMiB: 8, epcMiB: 4, 100_000, ReplacementPolicyKind.Fifo);
        Assert.Equal(100_000 - 2048, result.Faults);
        Assert.Equal(2048, result.FirstTouches);
    }

    [Fact]
    public void Policies_are_compared_on_the_same_accesses()
    {
        IReadOnlyList<SimulationResult> results = Simulator.Compare(
            Trace("zipf:0.9", 64, 300_000), [4096, 8192], s_policies, new SimulationOptions { EpcPages = 1, Interval = 70_000 });
        Assert.Equal(6, results.Count);
        Assert.Single(results.Select(static result => result.FirstTouches).Distinct());
        foreach (SimulationResult result in results)
        {
            Assert.Equal(result.Faults, result.Counters.Loads);
            Assert.Equal([70_000, 140_000, 210_000, 280_000, 300_000], result.Intervals.Select(static interval => interval.Accesses));
            Assert.Equal(result.Faults, result.Intervals.Sum(static interval => interval.Faults));
            Assert.Equal(result.FirstTouches, result.Intervals.Sum(static interval => interval.FirstTouches));
            Assert.Equal(result.Counters.Evictions, result.Intervals.Sum(static interval => interval.Evictions));
        }

        for (int policy = 0; policy < 3; policy++)
        {
            Assert.True(results[3 + policy].Faults < results[policy].Faults, "more EPC, fewer faults");
        }

        Assert.True(results[0].Faults < results[1].Faults, "ageing is worth something");
    }

    [Fact]
    public void The_same_options_give_the_same_counters()
    {
        PagingCounters first = WithoutTimes(Run("zipf:0.7", 32, 8, 200_000, ReplacementPolicyKind.TwoQueues).Counters);
        PagingCounters second = WithoutTimes(Run("zipf:0.7", 32, 8, 200_000, ReplacementPolicyKind.TwoQueues).Counters);
        Assert.Equal(first, second);

        static PagingCounters WithoutTimes(PagingCounters counters) =>
            counters with { LoadTime = 0, EvictTime = 0, AgeTime = 0 };
    }

    [Fact]
    public void An_EPC_that_is_too_small_is_said_to_be()
    {
        Assert.Throws<SimulationException>(() => Run("uniform", enclaveMiB: 64, epcPages: 16, 100_000, ReplacementPolicyKind.Lru));
        Assert.Throws<SimulationException>(() => Run("uniform", enclaveMiB: 64, epcPages: 1, 1, ReplacementPolicyKind.Lru));
    }

    [Fact]
    public void A_run_ends_early_when_it_is_told_to()
    {
        using CancellationTokenSource source = new();
        Assert.Throws<OperationCanceledException>(() => Simulator.Run(
            Trace("uniform", 16, long.MaxValue), new SimulationOptions { EpcPages = 4096 }, fraction => source.Cancel(), source.Token));
    }

    private static SimulationResult Run(string pattern, int enclaveMiB, int epcMiB, long accesses, ReplacementPolicyKind policy)
        => Run(pattern, (ulong)enclaveMiB, epcMiB << 8, accesses, policy);

    private static SimulationResult Run(string pattern, ulong enclaveMiB, int epcPages, long accesses, ReplacementPolicyKind policy)
        => Simulator.Run(
            Trace(pattern, enclaveMiB, accesses),
            new SimulationOptions { EpcPages = epcPages, Reclaim = new ReclaimSettings { Policy = policy } });

    private static GeneratedTrace Trace(string pattern, ulong enclaveMiB, long accesses)
    {
        Assert.True(PatternSpec.TryParse(pattern, out PatternSpec? spec, out _));
        return new GeneratedTrace([new GeneratedEnclave(new TraceEnclave(enclaveMiB << 8, 1), spec!)], accesses, seed: 1);
    }
}
