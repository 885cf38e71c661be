using System.Diagnostics;
using System.Text.Json;
using System.Text.RegularExpressions;
using SoftSgx.Architecture;
using SoftSgx.Cli.Stats;
using SoftSgx.Host;
using SoftSgx.Host.Statistics;
using SoftSgx.Kernel;

namespace SoftSgx.Cli.Tests.Stats;

/// <summary>What <c>--stats</c> writes.</summary>
public sealed class StatsTests
{
    private static readonly PagingCounters s_counters = new()
    {
        EpcPages = 4090, PeakEpcPages = 4096, EnclavePages = 16_400, Faults = 60_000, Loads = 50_000, Evictions = 62_000, Ages = 80_000,
        Young = 8_000, ETracks = 3_900, Kicks = 12, SecsEvictions = 5, SecsLoads = 6, VaPages = 33, BackingBytes = 50L << 20,
        PeakBackingBytes = 51L << 20, Failures = 3, LoadTime = Stopwatch.Frequency, EvictTime = 2 * Stopwatch.Frequency, AgeTime = Stopwatch.Frequency / 4,
    };

    private static readonly RunStatistics s_run = new(
        TimeSpan.FromSeconds(4),
        new EpcLayout((4096, 0), (1024, 3)),
        new ReclaimSettings { Policy = ReplacementPolicyKind.TwoQueues },
        [7],
        s_counters,
        [
            new EnclaveReport(1, 0x7f00_0000_0000, 128 << 20, Hash256.From(Enumerable.Repeat((byte)0xAB, 32).ToArray()), true, s_counters),
            new EnclaveReport(2, 0x1000, 4096, default, false, default),
        ])
    {
        Transitions = new TransitionStatistics
        {
            EntriesByVdso = 100_000, EntriesBySite = 20_000, ExitsBySite = 119_000, TrappedEntries = 10, TrappedExits = 11, AsynchronousExits = 7,
            Resumes = 6, DirectResumes = 5, PatchedSites = 2,
        },
    };

    [Fact]
    public void Json_has_the_counters_in_bytes_and_seconds()
    {
        using JsonDocument json = JsonDocument.Parse(Json(s_run));
        JsonElement root = json.RootElement;
        Assert.Equal(1, root.GetProperty("version").GetInt32());
        Assert.Equal(4, root.GetProperty("seconds").GetDouble());
        Assert.Equal(5120 * 4096, root.GetProperty("epc").GetProperty("bytes").GetInt64());
        Assert.Equal("""[0,3]""", $"[{string.Join(',', root.GetProperty("epc").GetProperty("sections").EnumerateArray().Select(static section => section.GetProperty("node").GetInt32()))}]");
        Assert.Equal("2q", root.GetProperty("reclaim").GetProperty("policy").GetString());
        JsonElement entries = root.GetProperty("transitions").GetProperty("entries");
        Assert.Equal([100_000, 20_000, 10], [.. new[] { "vdso", "site", "trap" }.Select(way => entries.GetProperty(way).GetInt64())]);
        JsonElement total = root.GetProperty("total");
        Assert.Equal(62_000, total.GetProperty("evictions").GetInt64());
        Assert.Equal(15_500, total.GetProperty("evictionsPerSecond").GetDouble());
        Assert.Equal(1, total.GetProperty("loadSeconds").GetDouble());
        Assert.Equal(0.25, total.GetProperty("ageSeconds").GetDouble());
        JsonElement first = root.GetProperty("enclaves")[0];
        Assert.Equal("0x7f0000000000", first.GetProperty("base").GetString());
        Assert.Equal(string.Concat(Enumerable.Repeat("ab", 32)), first.GetProperty("mrEnclave").GetString());
        Assert.True(first.GetProperty("ended").GetBoolean());
        Assert.Equal(62_000, first.GetProperty("counters").GetProperty("evictions").GetInt64());
    }

    [Fact]
    public void Every_counter_of_the_kernel_is_there_and_has_a_number_of_its_own()
    {
        using JsonDocument json = JsonDocument.Parse(Json(s_run));
        JsonElement total = json.RootElement.GetProperty("total");
        Assert.Equal(
            typeof(PagingCounters).GetFields().Length + 2, // the two rates
            total.EnumerateObject().Select(static property => property.Value.GetDouble()).Distinct().Count());
    }

    [Fact]
    public void Json_can_be_read_back() =>
        Assert.Equal(
            Json(s_run),
            JsonSerializer.Serialize(JsonSerializer.Deserialize(Json(s_run), StatsJson.Default.StatsDocument)!, StatsJson.Default.StatsDocument));

    [Fact]
    public void Every_field_is_documented()
    {
        string page = File.ReadAllText(Path.Combine(Root(), "docs", "statistics.md"));
        using JsonDocument json = JsonDocument.Parse(Json(s_run));
        foreach (string name in Names(json.RootElement).Distinct())
        {
            Assert.True(Regex.IsMatch(page, $@"`(epc\.|entries\.|exits\.)?{name}(\[\])?`"), $"docs/statistics.md does not say what {name} is");
        }
    }

    [Fact]
    public void Text_says_it_in_lines() => Assert.Equal(
        $"""
        softsgx: transitions and EPC paging during 4.00 s
          entries      120,010: vDSO 100,000, patched ENCLUs 20,000, by the supervisor 10; 30,002 a second
          exits        119,011: patched ENCLUs 119,000, by the supervisor 11; 29,753 a second
          interrupted  7 asynchronous exits, 6 ERESUMEs, 5 of them without a trap; 2 ENCLUs patched
          EPC          20 MiB, 5,120 pages: 16 MiB on node 0, 4 MiB on node 3
          poisoned     EPC page 7
          reclaimer    policy 2q, batches of 16; starts below 32 free pages, stops at 64
          evicted      62,000 pages, 15,500 a second, 32.3 us each
          loaded       50,000 pages, 12,500 a second, 20.0 us each
          page faults  60,000
          aged         80,000 pages, 8,000 of them in use (10 %), 250.0 ms in all
          ETRACK       3,900; logical processors interrupted: 12
          SECS         evicted 5, loaded 6
          EPC used     4,096 pages at most (16 MiB), 4,090 at the end, 33 of them version arrays
          backing      51 MiB at most, 50 MiB at the end
          failures     3 pages could not be loaded
          enclave    base               size  evicted  loaded  faults  peak EPC  MRENCLAVE
          1          0x7f0000000000  128 MiB   62,000  50,000  60,000     4,096  {string.Concat(Enumerable.Repeat("ab", 32))}
          2 (alive)  0x1000            4 KiB        0       0       0         0  (never initialized)

        """,
        StatsText.Write(StatsDocument.Of(s_run)));

    [Fact]
    public void Text_without_paging_divides_by_nothing()
    {
        string text = StatsText.Write(StatsDocument.Of(s_run with { Duration = TimeSpan.Zero, Total = default, Enclaves = [], PoisonedPages = [] }));
        Assert.Contains("  interrupted  7 asynchronous exits", text, StringComparison.Ordinal);
        Assert.Contains("  evicted      0 pages\n", text, StringComparison.Ordinal);
        Assert.Contains("  aged         0 pages, 0 of them in use\n", text, StringComparison.Ordinal);
        Assert.EndsWith("  no enclave was created\n", text, StringComparison.Ordinal);
        Assert.DoesNotContain("NaN", text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("a.json", true)]
    [InlineData("a", true)]
    [InlineData("a.txt", false)]
    public void A_file_gets_json_or_text_by_its_name(string name, bool isJson)
    {
        string folder = Directory.CreateTempSubdirectory("softsgx-stats").FullName;
        try
        {
            string path = Path.Combine(folder, name);
            File.WriteAllText(path, "what was there before");
            StatsTarget.Open(path).Write(s_run);
            string written = File.ReadAllText(path);
            Assert.StartsWith(isJson ? "{" : "softsgx: transitions and EPC paging", written, StringComparison.Ordinal);
            Assert.EndsWith("\n", written, StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Theory]
    [InlineData("/nonexistent/x", "no such folder")]
    [InlineData("/", "it is a folder")]
    [InlineData("", "it is no file name")]
    public void A_file_that_cannot_be_written_is_told_at_once(string path, string why) =>
        Assert.Contains($"({why})", Assert.Throws<HostException>(() => StatsTarget.Open(path)).Message, StringComparison.Ordinal);

    [Fact]
    public void The_demo_explains_the_counters()
    {
        string text = PagingDemo.Explanation(StatsDocument.Of(s_run));
        Assert.Contains("62,000 pages evicted", text, StringComparison.Ordinal);
        Assert.Contains("fewer than 32 EPC pages are free", text, StringComparison.Ordinal);
        Assert.All(text.Split('\n'), static line => Assert.True(line.Length <= 130 && line.TrimEnd() == line, line));
        Assert.StartsWith("Nothing", PagingDemo.Explanation(StatsDocument.Of(s_run with { Total = default })), StringComparison.Ordinal);
    }

    private static string Json(RunStatistics run) => JsonSerializer.Serialize(StatsDocument.Of(run), StatsJson.Default.StatsDocument);

    private static IEnumerable<string> Names(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => element.EnumerateObject().SelectMany(static property => Names(property.Value).Prepend(property.Name)),
        JsonValueKind.Array => element.EnumerateArray().SelectMany(Names),
        _ => [],
    };

    private static string Root()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "SoftSgx.slnx")))
        {
            folder = folder.Parent;
        }
        return folder?.FullName ?? throw new InvalidOperationException("The tests do not lie in the repository.");
    }
}
