using System.Text.Json;

namespace SoftSgx.Host.Tests.EndToEnd;

/// <summary>The statistics of a run, and what the program sees of the EPC's sections.</summary>
[Collection(nameof(EndToEnd))]
public sealed class StatisticsTests
{
    [EndToEndTheory]
    [InlineData("exit 0", "true")]
    [InlineData("exit 7", "exit 7")]
    [InlineData("signal 15", "kill -TERM $$")]
    [InlineData("signal 9", "kill -KILL $$")]
    public void They_come_however_the_program_ends(string end, string script)
    {
        Outcome outcome = Machine.Run([Machine.Softsgx, "run", "--stats", "text", "sh", "-c", script]).Ended(end);
        Assert.StartsWith("softsgx: transitions and EPC paging during ", outcome.ErrorText, StringComparison.Ordinal);
        Assert.EndsWith("no enclave was created\n", outcome.ErrorText, StringComparison.Ordinal);
    }

    [EndToEndFact]
    public void A_file_has_them_also_when_a_signal_ended_the_program()
    {
        using TemporaryFolder folder = Machine.NewFolder();
        string file = Path.Combine(folder.Path, "stats.json");
        Machine.Run([Machine.Softsgx, "run", "--epc", "64M@0,1M@1", "--stats", file, "sh", "-c", "kill -KILL $$"]).Ended("signal 9");
        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(file));
        Assert.Equal(65 << 20, json.RootElement.GetProperty("epc").GetProperty("bytes").GetInt64());
    }

    [EndToEndFact]
    public void They_name_the_enclaves()
    {
        using TemporaryFolder folder = Machine.NewFolder();
        string file = Path.Combine(folder.Path, "stats.json");
        Outcome outcome = Machine.Run([Machine.Softsgx, "run", "--stats", file, Machine.BuildSample("hello")]).Ended("exit 0");
        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(file));
        JsonElement enclave = Assert.Single(json.RootElement.GetProperty("enclaves").EnumerateArray());
        Assert.Contains($"MRENCLAVE  {enclave.GetProperty("mrEnclave").GetString()}", outcome.Text, StringComparison.Ordinal);
        Assert.Equal("", outcome.ErrorText);
    }

    [EndToEndTheory]
    [InlineData("lru")]
    [InlineData("fifo")]
    [InlineData("2q")]
    public void They_tell_what_a_small_EPC_cost_and_no_word_is_lost_by_it(string policy)
    {
        const int heapPages = 2048, epcPages = 512;
        using TemporaryFolder folder = Machine.NewFolder();
        string file = Path.Combine(folder.Path, "stats.json");
        Outcome outcome = Machine.Run(
            [Machine.Softsgx, "run", "--epc", "1M@0,1M@1", "--reclaim", $"policy={policy}", "--stats", file, Machine.BuildSample("bigheap"), "--mib", "8", "--threads", "3"])
            .Ended("exit 0");
        Assert.EndsWith("bigheap: ok\n", outcome.Text, StringComparison.Ordinal);
        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(file));
        Assert.Equal(policy, json.RootElement.GetProperty("reclaim").GetProperty("policy").GetString());
        JsonElement total = json.RootElement.GetProperty("total");
        // Seven passes over four times the EPC: at least what cannot be there at once has to come in each, and go.
        Assert.InRange(total.GetProperty("loads").GetInt64(), 6 * (heapPages - epcPages), long.MaxValue);
        Assert.InRange(total.GetProperty("evictions").GetInt64(), total.GetProperty("loads").GetInt64(), long.MaxValue);
        Assert.InRange(total.GetProperty("peakEpcPages").GetInt64(), epcPages / 2, epcPages);
        Assert.Equal(0, total.GetProperty("failures").GetInt64());
        Assert.Equal(0, total.GetProperty("epcPages").GetInt64());
        Assert.Equal(0, total.GetProperty("backingBytes").GetInt64());
    }

    [EndToEndFact]
    public void The_program_does_not_start_when_the_file_cannot_be_written()
    {
        Outcome outcome = Machine.Run([Machine.Softsgx, "run", "--stats", "/nonexistent/stats.json", "echo", "started"]).Ended("exit 125");
        Assert.Equal("", outcome.Text);
        Assert.Equal("softsgx: --stats cannot write '/nonexistent/stats.json' (no such folder): give text, json, or a file that you may write\n", outcome.ErrorText);
    }

    [EndToEndFact]
    public void The_program_finds_all_sections_of_the_EPC()
    {
        Outcome outcome = Machine.Run([Machine.Softsgx, "run", "--epc", "64M@0,64M@1,1M@63", Machine.BuildSample("hello")]).Ended("exit 0");
        Assert.Contains(" 132096 KiB of EPC\n", outcome.Text, StringComparison.Ordinal);
    }

    [EndToEndFact]
    public void An_enclave_gets_no_poisoned_page()
    {
        Outcome outcome = Machine.Run([Machine.Softsgx, "run", "--poison", "0,1,2,3", "--stats", "text", Machine.BuildSample("hello")]).Ended("exit 0");
        Assert.Contains("  poisoned     EPC pages 0, 1, 2, 3\n", outcome.ErrorText, StringComparison.Ordinal);
    }
}
