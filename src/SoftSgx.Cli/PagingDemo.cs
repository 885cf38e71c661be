using System.Globalization;
using System.Text;
using SoftSgx.Cli.Stats;

namespace SoftSgx.Cli;

/// <summary>What <c>softsgx demo --paging</c> runs and says: an enclave of four times the EPC's size, and its counters in plain words.</summary>
internal static class PagingDemo
{
    /// <summary>The sample's name.</summary>
    internal const string Sample = "bigheap";

    internal const string Introduction =
        """
        The enclave has a heap of 64 MiB, the Enclave Page Cache has room for 16. Whenever the enclave touches a page that is not in the
        EPC, it is interrupted by a page fault; the page is loaded, and the enclave goes on without noticing. To make room, other pages
        are evicted: encrypted and kept in ordinary memory. Two threads work on the heap, each pass in another way.
        """;

    private const string Epc = "16M";
    private const string Mebibytes = "64";
    private const string Threads = "2";

    /// <summary>Arguments of softsgx.</summary>
    internal static string[] Arguments(string program, string statistics) =>
        ["run", "--epc", Epc, "--stats", statistics, program, "--mib", Mebibytes, "--threads", Threads];

    /// <summary>The counters in plain words.</summary>
    internal static string Explanation(StatsDocument run)
    {
        StatsCounters total = run.Total;
        if (total.Evictions == 0)
        {
            return "Nothing: the whole enclave fitted into the EPC.";
        }
        StringBuilder text = new();
        Line(text, $"  {total.Evictions,9:N0} pages evicted   Encrypted under a key of the processor's, with a MAC (EWB). {total.EvictionsPerSecond:N0} a second,");
        Line(text, $"                            {Each(total.EvictSeconds, total.Evictions)} each.");
        Line(text, $"  {total.Loads,9:N0} pages loaded    Decrypted and checked (ELDU): a page that was changed, or an older copy of it, would");
        Line(text, $"                            be refused. {total.LoadsPerSecond:N0} a second, {Each(total.LoadSeconds, total.Loads)} each.");
        Line(text, $"  {total.Faults,9:N0} page faults     The enclave touched a page that was not there.");
        Line(text, $"  {total.Ages,9:N0} looks           The reclaimer starts when fewer than {run.Reclaim.LowPages} EPC pages are free (the low watermark),");
        Line(text, $"                            looks at {run.Reclaim.Batch} pages at a time, and stops when {run.Reclaim.HighPages} are free (the high one).");
        Line(text, $"  {total.Young,9:N0} of them in use  Touched since the last look: they stay, others go first (policy {run.Reclaim.Policy}).");
        Line(text, $"  {total.Etracks,9:N0} ETRACKs         Before a batch is written out, no processor may still use it; {total.Kicks:N0} had to be");
        Line(text, $"                            interrupted for that.");
        Line(text, $"  {ByteSize.Format(total.PeakBackingBytes),9} outside         Encrypted pages in ordinary memory, at most.");
        return text.ToString();
    }

    private static string Each(double seconds, long count) => StatsText.Duration(count == 0 ? 0 : seconds / count);

    private static void Line(StringBuilder text, FormattableString line) => text.Append(line.ToString(CultureInfo.InvariantCulture)).Append('\n');
}
