using System.Globalization;
using System.Text;

namespace SoftSgx.Cli.Stats;

/// <summary>The statistics of a run for people: totals, then a line for each enclave.</summary>
internal static class StatsText
{
    /// <summary>Enclaves that get a line; a program that makes thousands has more than anyone reads.</summary>
    private const int MaximumLines = 50;

    private static readonly string[] s_columns = ["enclave", "base", "size", "evicted", "loaded", "faults", "peak EPC", "MRENCLAVE"];

    /// <summary>The text, several lines.</summary>
    internal static string Write(StatsDocument run)
    {
        StatsCounters total = run.Total;
        StringBuilder text = new();
        Line(text, $"softsgx: transitions and EPC paging during {run.Seconds:0.00} s");
        StatsTransitions transitions = run.Transitions;
        StatsEntries entries = transitions.Entries;
        StatsExits exits = transitions.Exits;
        Item(text, "entries", $"{entries.Total:N0}{(entries.Total > 0 ? Format($": vDSO {entries.Vdso:N0}, patched ENCLUs {entries.Site:N0}, by the supervisor {entries.Trap:N0}; {entries.PerSecond:N0} a second") : "")}");
        Item(text, "exits", $"{exits.Total:N0}{(exits.Total > 0 ? Format($": patched ENCLUs {exits.Site:N0}, by the supervisor {exits.Trap:N0}; {exits.PerSecond:N0} a second") : "")}");
        Item(text, "interrupted", $"{transitions.AsynchronousExits:N0} asynchronous exits, {transitions.Resumes:N0} ERESUMEs, {transitions.DirectResumes:N0} of them without a trap; {transitions.PatchedSites:N0} ENCLUs patched");
        Item(text, "EPC", $"{ByteSize.Format(run.Epc.Bytes)}, {run.Epc.Pages:N0} pages: {string.Join(", ", run.Epc.Sections.Select(static section => $"{ByteSize.Format(section.Bytes)} on node {section.Node}"))}");
        if (run.Epc.PoisonedPages.Count > 0)
        {
            Item(text, "poisoned", $"EPC {(run.Epc.PoisonedPages.Count == 1 ? "page" : "pages")} {string.Join(", ", run.Epc.PoisonedPages)}");
        }
        Item(text, "reclaimer", $"policy {run.Reclaim.Policy}, batches of {run.Reclaim.Batch}; starts below {run.Reclaim.LowPages} free pages, stops at {run.Reclaim.HighPages}");
        Item(text, "evicted", $"{Pages(total.Evictions)}{Each(total.Evictions, total.EvictionsPerSecond, total.EvictSeconds)}");
        Item(text, "loaded", $"{Pages(total.Loads)}{Each(total.Loads, total.LoadsPerSecond, total.LoadSeconds)}");
        Item(text, "page faults", $"{total.Faults:N0}");
        Item(text, "aged", $"{Pages(total.Ages)}, {total.Young:N0} of them in use{Percent(total.Young, total.Ages)}{(total.Ages > 0 ? $", {Duration(total.AgeSeconds)} in all" : "")}");
        Item(text, "ETRACK", $"{total.Etracks:N0}; logical processors interrupted: {total.Kicks:N0}");
        Item(text, "SECS", $"evicted {total.SecsEvictions:N0}, loaded {total.SecsLoads:N0}");
        Item(text, "EPC used", $"{Pages(total.PeakEpcPages)} at most ({ByteSize.Format(total.PeakEpcPages * StatsEpc.PageSize)}), {total.EpcPages:N0} at the end, {total.VaPages:N0} of them version arrays");
        Item(text, "backing", $"{ByteSize.Format(total.PeakBackingBytes)} at most, {ByteSize.Format(total.BackingBytes)} at the end");
        if (total.Failures > 0)
        {
            Item(text, "failures", $"{Pages(total.Failures)} could not be loaded");
        }
        if (run.Policy is StatsPolicy policy)
        {
            IEnumerable<string> denials = policy.ByPermission.Select(static denial => Format($"{denial.Permission} {denial.Count:N0}"));
            string which = policy.Denials > 0 ? $": {string.Join(", ", denials)}" : "";
            Item(text, "policy", $"{policy.Mode}, {policy.Rules:N0} {(policy.Rules == 1 ? "rule" : "rules")}; denied {policy.Denials:N0}{which}");
        }
        Enclaves(text, run.Enclaves);
        return text.ToString();
    }

    /// <summary>A time in the unit that suits it.</summary>
    internal static string Duration(double seconds) => string.Create(
        CultureInfo.InvariantCulture,
        $"{(seconds >= 1 ? $"{seconds:0.00} s" : seconds >= 1e-3 ? $"{seconds * 1e3:0.0} ms" : $"{seconds * 1e6:0.0} us")}");

    private static void Enclaves(StringBuilder text, IReadOnlyList<StatsEnclave> enclaves)
    {
        if (enclaves.Count == 0)
        {
            Line(text, $"  no enclave was created");
            return;
        }
        string[][] rows = [s_columns, .. enclaves.Take(MaximumLines).Select(Row)];
        int[] widths = [.. s_columns.Select((_, column) => rows.Max(row => row[column].Length))];
        foreach (string[] row in rows)
        {
            // Numbers end below each other, the rest starts so.
            Line(text, $"  {string.Join("  ", row.Select((cell, column) => column is >= 2 and <= 6 ? cell.PadLeft(widths[column]) : cell.PadRight(widths[column]))).TrimEnd()}");
        }
        if (enclaves.Count > MaximumLines)
        {
            Line(text, $"  … and {enclaves.Count - MaximumLines:N0} more; --stats json has them all");
        }
    }

    private static string[] Row(StatsEnclave enclave) =>
    [
        Format($"{enclave.Number}{(enclave.Ended ? "" : " (alive)")}"),
        enclave.Base,
        ByteSize.Format((long)enclave.Size),
        Format($"{enclave.Counters.Evictions:N0}"),
        Format($"{enclave.Counters.Loads:N0}"),
        Format($"{enclave.Counters.Faults:N0}"),
        Format($"{enclave.Counters.PeakEpcPages:N0}"),
        enclave.MrEnclave.All(static digit => digit == '0') ? "(never initialized)" : enclave.MrEnclave,
    ];

    private static string Pages(long count) => Format($"{count:N0} {(count == 1 ? "page" : "pages")}");

    private static string Each(long count, double perSecond, double seconds) =>
        count == 0 ? "" : Format($", {perSecond:N0} a second, {Duration(seconds / count)} each");

    private static string Percent(long part, long of) => of == 0 ? "" : Format($" ({100.0 * part / of:0} %)");

    private static string Format(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);

    private static void Item(StringBuilder text, string name, FormattableString value) => Line(text, $"  {name,-12} {Format(value)}");

    private static void Line(StringBuilder text, FormattableString line) => text.Append(Format(line)).Append('\n');
}
