using System.Text;
using System.Text.Json;
using SoftSgx.Host.Tests.EndToEnd;

namespace SoftSgx.Host.Tests.Fuzz;

/// <summary>Has <c>native/calls.c</c> make the calls of many sequences in one run.</summary>
internal static class CallRunner
{
    /// <summary>The program.</summary>
    internal static string Program => Machine.BuildWith("calls", "enter.S", "vdso.c");

    /// <summary>Runs sequences one after the other.</summary>
    /// <returns>For each, a line for each of its calls, up to where it got.</returns>
    internal static List<List<string>> Run(IReadOnlyList<IReadOnlyList<Call>> sequences, string epc, int ballast, int seconds)
    {
        StringBuilder input = new();
        for (int i = 0; i < sequences.Count; i++)
        {
            input.Append("seq ").Append(i).Append('\n');
            foreach (Call call in sequences[i])
            {
                input.Append(call).Append('\n');
            }
        }
        string output = Run(input.ToString(), epc, ballast, seconds);
        List<List<string>> results = [];
        foreach (string line in output.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.StartsWith("seq ", StringComparison.Ordinal))
            {
                results.Add([]);
            }
            else
            {
                results[^1].Add(line);
            }
        }
        return results;
    }

    /// <summary>Runs the program; it must end well, leave nothing, and give back all of the EPC.</summary>
    internal static string Run(string input, string epc, int ballast, int seconds)
    {
        using TemporaryFolder folder = Machine.NewFolder();
        string stats = Path.Combine(folder.Path, "stats.json");
        Outcome outcome = Machine.Run(
            [Machine.Softsgx, "run", "--epc", epc, "--stats", stats, Program, .. ballast == 0 ? Array.Empty<string>() : [$"{ballast}"]],
            Encoding.Latin1.GetBytes(input), seconds, folder.Path);
        Assert.True(
            outcome.End == "exit 0" && outcome.Left.Count == 0 && outcome.ErrorText.Length == 0,
            $"{outcome.End}, left: [{string.Join("; ", outcome.Left)}], error: {outcome.ErrorText}\nlast lines:\n{string.Join('\n', outcome.Text.Split('\n').TakeLast(20))}");
        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(stats));
        JsonElement total = json.RootElement.GetProperty("total");
        Assert.Equal(0, total.GetProperty("epcPages").GetInt64());
        Assert.Equal(0, total.GetProperty("backingBytes").GetInt64());
        return outcome.Text;
    }
}
