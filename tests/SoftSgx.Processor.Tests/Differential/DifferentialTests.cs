using FsCheck;
using FsCheck.Fluent;
using Xunit.Abstractions;

namespace SoftSgx.Processor.Tests.Differential;

/// <summary>
/// The processor against the model: random programs of leaves must give the same results and the same visible state after
/// every step. Seeds are fixed; SOFTSGX_SOAK=1 goes on until a million leaves have run.
/// </summary>
public sealed class DifferentialTests(ITestOutputHelper output)
{
    private const long SoakLeaves = 1_000_000;

    public static TheoryData<ulong, bool> Seeds => new() { { 1, true }, { 2, true }, { 3, true }, { 4, false } };

    [Theory]
    [MemberData(nameof(Seeds))]
    public void ProcessorAndModelAgree(ulong seed, bool everything) => Check(seed, programs: 80, everything, []);

    /// <summary>Every step must come to its point often: a generator that only produces faults would prove nothing.</summary>
    [Fact]
    public void ProgramsReachEveryLeaf()
    {
        Dictionary<string, int> outcomes = [];
        Check(seed: 99, programs: 200, everything: true, outcomes);
        string table = string.Join('\n', outcomes.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Value,7} {pair.Key}"));
        string[] missing = [.. Pair.Leaves.Where(leaf => outcomes.GetValueOrDefault($"{leaf}: SGX_SUCCESS") < 5)];
        Assert.True(outcomes.ContainsKey(Pair.Notified), $"no AEX notification\n{table}");
        Assert.True(missing.Length == 0, $"hardly any success of {string.Join(", ", missing)}\n{table}");
    }

    [SoakFact]
    public void AMillionLeavesAgree()
    {
        Dictionary<string, int> outcomes = [];
        for (ulong seed = 1000; Leaves(outcomes) < SoakLeaves; seed++)
        {
            Check(seed, programs: 100, everything: seed % 8 != 0, outcomes);
        }

        output.WriteLine($"{Leaves(outcomes):N0} leaves without a difference");
        foreach ((string outcome, int count) in outcomes.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            output.WriteLine($"{count,9:N0} {outcome}");
        }
    }

    private static long Leaves(Dictionary<string, int> outcomes) => outcomes.Sum(pair => pair.Key == Pair.Notified ? 0L : pair.Value);

    private static void Check(ulong seed, int programs, bool everything, Dictionary<string, int> outcomes)
    {
        Config config = Config.QuickThrowOnFailure
            .WithMaxTest(programs)
            .WithReplay(new Replay(new Rnd(seed, 0x9E3779B97F4A7C15), null));
        Prop.ForAll(Programs.Arbitrary(Programs.Length, everything), program => new Pair(outcomes, program.Everything).Run(program)).Check(config);
    }
}

/// <summary>A test that runs only where SOFTSGX_SOAK=1 asks for long runs.</summary>
internal sealed class SoakFactAttribute : FactAttribute
{
    public SoakFactAttribute()
    {
        if (!Requested) Skip = "a long run: set SOFTSGX_SOAK=1";
    }

    public static bool Requested => Environment.GetEnvironmentVariable("SOFTSGX_SOAK") == "1";
}
