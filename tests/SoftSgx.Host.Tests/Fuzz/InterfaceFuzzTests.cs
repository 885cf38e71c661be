using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
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
                int at = i < results.Count ? Difference.Find(made[i].Calls, made[i].Expected, results[i]) : 0;
                if (at >= 0)
                {
                    differences++;
                    report.Append(CultureInfo.InvariantCulture, $"call {at} of seed {seed + i}: expected {made[i].Calls[at]} = {made[i].Expected[at]}\n");
                    Describe(report, seed + i, made[i].Calls, i < results.Count ? results[i] : [], epc, ballast);
                }
            }
        }
        Assert.True(differences == 0, $"after {watch.Elapsed.TotalSeconds.ToString("F0", CultureInfo.InvariantCulture)} s:\n{report}");
    }

    /// <summary>What calls can say when others are under way: an errno, a count, a signal, an exit.</summary>
    private const string Possible =
        "^(ok|[0-9a-f]{1,2}|EINVAL|EFAULT|EBADF|EBUSY|EEXIST|EIO|EPERM|EACCES|ENOTTY|ENOTDIR|ENODEV|ENOMEM|EAGAIN|SIGSEGV|SIGBUS|exit [0-9a-f]+|returned -22|signal (7|11)"
        + "|leaf [23] vector (6|13|14)( error [0-9a-f]+ address [0-9a-f]+)?)( count=[0-9a-f]+)?( result=[0-9a-f]+)?$";

    [EndToEndTheory]
    [InlineData("64M", 0)]
    [InlineData("1M", 300)]
    public void Threads_that_call_at_once_get_possible_outcomes_and_leave_nothing(string epc, int ballast)
    {
        const int threads = 8;
        int rounds = IsSoak ? 5000 : 100;
        StringBuilder input = new();
        for (int round = 0; round < rounds; round++)
        {
            input.Append(CultureInfo.InvariantCulture, $"seq {round}\nthreads\n");
            for (int thread = 0; thread < threads; thread++)
            {
                foreach (Call call in Generator.Make((round * threads) + thread).Calls)
                {
                    if (call.Name is not ("fork" or "exit" or "enter"))
                    {
                        input.Append(CultureInfo.InvariantCulture, $"{thread} {call}\n");
                    }
                }
            }
            input.Append("join\n");
        }
        string output = CallRunner.Run(input.ToString(), epc, ballast, seconds: 100 + rounds);
        string[] lines = [.. output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Where(static line => line.Contains(" = ", StringComparison.Ordinal))];
        Assert.True(lines.Length > rounds * threads, output);
        Assert.DoesNotContain(lines, static line => !Regex.IsMatch(line[(line.IndexOf(" = ", StringComparison.Ordinal) + 3)..], Possible));
    }

    private static (int First, int Count) Seeds()
    {
        if (Environment.GetEnvironmentVariable("SOFTSGX_FUZZ") is string chosen)
        {
            string[] parts = chosen.Split(',');
            return (int.Parse(parts[0], CultureInfo.InvariantCulture), int.Parse(parts[1], CultureInfo.InvariantCulture));
        }
        return IsSoak ? (1_000_000, 50_000) : (1, 1000);
    }

    private static void Describe(StringBuilder report, int seed, IReadOnlyList<Call> calls, List<string> first, string epc, int ballast)
    {
        List<string> Lines(IReadOnlyList<Call> some) => CallRunner.Run([some], epc, ballast, seconds: 60)[0];
        if (Difference.Find(calls, Generator.Expect(calls), Lines(calls)) < 0)
        {
            report.Append(CultureInfo.InvariantCulture, $"seed {seed}, EPC {epc}, not when run again:\n");
            foreach (string line in first)
            {
                report.Append("    ").Append(line).Append('\n');
            }
            return;
        }
        IReadOnlyList<Call> shortest = Difference.Shrink(calls, some => Difference.Find(some, Generator.Expect(some), Lines(some)) >= 0);
        IReadOnlyList<string> expected = Generator.Expect(shortest);
        List<string> lines = Lines(shortest);
        int at = Difference.Find(shortest, expected, lines);
        report.Append(CultureInfo.InvariantCulture, $"seed {seed}, EPC {epc}, shortest:\n");
        foreach (string line in lines)
        {
            report.Append("    ").Append(line).Append('\n');
        }
        report.Append("    calls:\n");
        foreach (Call call in shortest)
        {
            report.Append("    ").Append(call.Name == "sig" ? "sig" : call.ToString()).Append('\n');
        }
        report.Append(at < 0 ? "    (as expected this time)\n" : $"    expected: {shortest[at]} = {expected[at]}\n");
    }
}
