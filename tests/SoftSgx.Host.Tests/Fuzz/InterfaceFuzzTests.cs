using System.Diagnostics;
using System.Globalization;
using System.Text;
using SoftSgx.Host.Tests.EndToEnd;

namespace SoftSgx.Host.Tests.Fuzz;

/// <summary>
/// Random sequences of calls of the SGX interface have the outcomes that a model predicts, which is written from the rules of Linux
/// and the processor. With SOFTSGX_SOAK=1 a hundred thousand of them; SOFTSGX_FUZZ=FIRST,COUNT chooses the seeds.
/// </summary>
[Collection(nameof(EndToEnd))]
public sealed class InterfaceFuzzTests
{
    /// <summary>Sequences in one run of the program.</summary>
    private const int Batch = 500;

    private const int ReportedDifferences = 5;

    private static bool IsSoak => Environment.GetEnvironmentVariable("SOFTSGX_SOAK") == "1";

    [EndToEndTheory]
    [InlineData("64M", 0)]
    [InlineData("1M", 300)]
    public void Every_outcome_is_the_one_that_the_model_predicts(string epc, int ballast)
    {
        (int first, int count) = Seeds();
        StringBuilder report = new();
        int differences = 0;
        Stopwatch watch = Stopwatch.StartNew();
        for (int seed = first; seed < first + count && differences < ReportedDifferences; seed += Batch)
        {
            int size = Math.Min(Batch, first + count - seed);
            (IReadOnlyList<Call> Calls, IReadOnlyList<string> Expected)[] made =
                [.. Enumerable.Range(seed, size).Select(Generator.Make)];
            List<List<string>> results = CallRunner.Run([.. made.Select(static sequence => sequence.Calls)], epc, ballast, seconds: 300);
            for (int i = 0; i < size && differences < ReportedDifferences; i++)
            {
                if (Difference.Find(made[i].Calls, made[i].Expected, results[i]) >= 0)
                {
                    differences++;
                    Describe(report, seed + i, made[i].Calls, epc, ballast);
                }
            }
        }
        Assert.True(differences == 0, $"after {watch.Elapsed.TotalSeconds.ToString("F0", CultureInfo.InvariantCulture)} s:\n{report}");
    }

    private static (int First, int Count) Seeds()
    {
        if (Environment.GetEnvironmentVariable("SOFTSGX_FUZZ") is string chosen)
        {
            string[] parts = chosen.Split(',');
            return (int.Parse(parts[0], CultureInfo.InvariantCulture), int.Parse(parts[1], CultureInfo.InvariantCulture));
        }
        return IsSoak ? (1_000_000, 50_000) : (1, 500);
    }

    private static void Describe(StringBuilder report, int seed, IReadOnlyList<Call> calls, string epc, int ballast)
    {
        List<string> Lines(IReadOnlyList<Call> some) => CallRunner.Run([some], epc, ballast, seconds: 60)[0];
        IReadOnlyList<Call> shortest = Difference.Shrink(calls, some => Difference.Find(some, Generator.Expect(some), Lines(some)) >= 0);
        IReadOnlyList<string> expected = Generator.Expect(shortest);
        List<string> lines = Lines(shortest);
        int at = Difference.Find(shortest, expected, lines);
        report.Append(CultureInfo.InvariantCulture, $"seed {seed}, EPC {epc}:\n");
        foreach (string line in lines.Take(lines.Count))
        {
            report.Append("    ").Append(line).Append('\n');
        }
        report.Append(at < 0 ? "    (not again)\n" : $"    expected: {shortest[at]} = {expected[at]}\n");
    }
}
