using System.Globalization;
using System.Text;
using System.Text.Json;
using SoftSgx.Cli.Commands;
using SoftSgx.Kernel;
using SoftSgx.Simulation;

namespace SoftSgx.Cli;

/// <summary>Results of <c>softsgx simulate</c> as a table, and as JSON.</summary>
internal static class SimulationReport
{
    private static readonly string[] s_columns =
        ["EPC", "policy", "accesses", "fault rate", "hit ratio", "faults", "evictions", "first touches", "VA pages", "million/s"];

    private static readonly string[] s_intervalColumns = ["accesses", "fault rate", "faults", "evictions", "first touches"];

    private static readonly JsonSerializerOptions s_json = new() { WriteIndented = true };

    /// <summary>A line for each run, then the intervals of each.</summary>
    public static string Text(IReadOnlyList<SimulationResult> results)
    {
        StringBuilder text = new();
        Append(text, [s_columns, .. results.Select(Row)]);
        foreach (SimulationResult result in results.Where(static result => result.Intervals.Count > 0))
        {
            text.AppendLine();
            text.AppendLine(CultureInfo.InvariantCulture, $"EPC {Epc(result)}, {Policy(result)}, by intervals:");
            Append(text, [s_intervalColumns, .. result.Intervals.Select(interval => IntervalRow(result, interval))]);
        }

        return text.ToString();
    }

    /// <summary>The trace's enclaves and an object for each run.</summary>
    public static string Json(Trace trace, IReadOnlyList<SimulationResult> results) => JsonSerializer.Serialize(
        new Dictionary<string, object>
        {
            ["enclaves"] = trace.Enclaves.Select(static enclave => enclave.Pages * EpcPool.PageSize).ToArray(),
            ["runs"] = results.Select(static result => new Dictionary<string, object>
            {
                ["epc"] = (ulong)result.Options.EpcPages * EpcPool.PageSize,
                ["policy"] = Policy(result),
                ["accesses"] = result.Accesses,
                ["firstTouches"] = result.FirstTouches,
                ["faults"] = result.Faults,
                ["faultRate"] = result.FaultRate,
                ["hitRatio"] = result.HitRatio,
                ["evictions"] = result.Counters.Evictions,
                ["ages"] = result.Counters.Ages,
                ["young"] = result.Counters.Young,
                ["etracks"] = result.Counters.ETracks,
                ["peakEpcPages"] = result.Counters.PeakEpcPages,
                ["versionArrayPages"] = result.Counters.VaPages,
                ["peakBackingBytes"] = result.Counters.PeakBackingBytes,
                ["seconds"] = result.Elapsed.TotalSeconds,
                ["intervals"] = result.Intervals.Select(static interval => new Dictionary<string, long>
                {
                    ["accesses"] = interval.Accesses,
                    ["firstTouches"] = interval.FirstTouches,
                    ["faults"] = interval.Faults,
                    ["evictions"] = interval.Evictions,
                }).ToArray(),
            }).ToArray(),
        },
        s_json) + "\n";

    private static string[] Row(SimulationResult result) =>
    [
        Epc(result),
        Policy(result),
        Number(result.Accesses),
        Share(result.FaultRate),
        Share(result.HitRatio),
        Number(result.Faults),
        Number(result.Counters.Evictions),
        Number(result.FirstTouches),
        Number(result.Counters.VaPages),
        string.Create(CultureInfo.InvariantCulture, $"{result.Accesses / Math.Max(result.Elapsed.TotalSeconds, 1e-9) / 1e6:N1}"),
    ];

    private static string[] IntervalRow(SimulationResult result, SimulationInterval interval)
    {
        long length = Math.Min(result.Options.Interval, interval.Accesses);
        length = interval.Accesses % result.Options.Interval is var rest and not 0 ? rest : length;
        return
        [
            Number(interval.Accesses),
            Share((double)interval.Faults / length),
            Number(interval.Faults),
            Number(interval.Evictions),
            Number(interval.FirstTouches),
        ];
    }

    private static void Append(StringBuilder text, string[][] rows)
    {
        int[] widths = [.. rows[0].Select((_, column) => rows.Max(row => row[column].Length))];
        foreach (string[] row in rows)
        {
            text.AppendLine(string.Join("  ", row.Select((cell, column) => cell.PadLeft(widths[column]))));
        }
    }

    private static string Epc(SimulationResult result) => Quantity.Format((ulong)result.Options.EpcPages * EpcPool.PageSize);

    private static string Policy(SimulationResult result) => SimulateCommand.PolicyName(result.Options.Reclaim.Policy);

    private static string Number(long value) => value.ToString("N0", CultureInfo.InvariantCulture);

    private static string Share(double value) => string.Create(CultureInfo.InvariantCulture, $"{value * 100:N3}%");
}
