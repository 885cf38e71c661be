namespace SoftSgx.Host.Tests.EndToEnd;

/// <summary>
/// The contract of the Linux SGX interface as C programs see it: tests/native, each program a list of checks that would hold on
/// SGX hardware, and the samples.
/// </summary>
[Collection(nameof(EndToEnd))]
public sealed class InterfaceTests
{
    [EndToEndTheory]
    [InlineData("device_files")]
    [InlineData("ioctl_errors")]
    [InlineData("mmap_rules")]
    [InlineData("enter_errors")]
    [InlineData("signals_ecall")]
    [InlineData("identity")]
    [InlineData("raw_enclu")]
    [InlineData("raw_signals")]
    [InlineData("raw_state")]
    [InlineData("aex_notify")]
    [InlineData("sgx2")]
    [InlineData("processes")]
    [InlineData("debug_access")]
    [InlineData("debug_entries")]
    public void Every_check_holds_but_the_known_limits(string program)
    {
        Outcome outcome = Machine.Supervised(Machine.BuildNativeTest(program));
        HashSet<string> failed = [.. Failed(outcome)];
        HashSet<string> held = [.. Names(outcome, "ok ")];
        HashSet<string> known = [.. KnownLimits(program)];

        Assert.True(held.Count > 50, outcome.ToString());
        Assert.Equal([], failed.Except(known));
        Assert.Equal([], known.Except(failed)); // one that holds now: delete its line in known_limits.txt
        Assert.Equal([], outcome.Left);
        Assert.DoesNotContain("softsgx:", outcome.ErrorText, StringComparison.Ordinal);
    }

    /// <summary>The same with an EPC that no enclave of theirs fits into, and on a processor without SGX2.</summary>
    [EndToEndTheory]
    [InlineData("sgx2", "--epc", "1M")]
    [InlineData("raw_signals", "--epc", "1M")]
    [InlineData("aex_notify", "--epc", "1M")]
    [InlineData("processes", "--epc", "1M")]
    [InlineData("transitions")]
    [InlineData("transitions", "--epc", "1M")]
    [InlineData("transitions", "--trace=/dev/null")]
    [InlineData("processes", "--trace=/dev/null")]
    [InlineData("raw_signals", "--trace=/dev/null")]
    [InlineData("aex_notify", "--trace=/dev/null")]
    [InlineData("transitions", "--exact")]
    [InlineData("sgx2", "--exact")]
    [InlineData("raw_signals", "--exact")]
    [InlineData("raw_state", "--exact")]
    [InlineData("aex_notify", "--exact")]
    [InlineData("signals_ecall", "--exact")]
    [InlineData("enter_errors", "--exact")]
    [InlineData("processes", "--exact")]
    [InlineData("debug_access", "--epc", "1M")]
    [InlineData("debug_entries", "--epc", "1M")]
    [InlineData("debug_access", "--exact")]
    [InlineData("debug_entries", "--exact")]
    [InlineData("debug_access", "--strict")]
    [InlineData("debug_entries", "--strict")]
    [InlineData("sgx2", "--sgx1")]
    [InlineData("raw_signals", "--sgx1")]
    [InlineData("aex_notify", "--sgx1")]
    public void Every_check_holds_on_other_machines(string program, params string[] options)
    {
        Outcome outcome = Machine.Run([Machine.Softsgx, "run", .. options, Machine.BuildNativeTest(program)]);

        Assert.Contains($"\n1..{Names(outcome, "ok ").Count() + Names(outcome, "not ok ").Count()}\n", outcome.Text, StringComparison.Ordinal);
        Assert.Equal([], Failed(outcome).Except(KnownLimits(program)));
        Assert.Equal([], outcome.Left);
        Assert.DoesNotContain("softsgx:", outcome.ErrorText, StringComparison.Ordinal);
    }

    /// <summary>
    /// A signal at every instruction that a transition without a trap executes in the monitor: registers, results, and what handlers see are as
    /// if it had hit the ENCLU.
    /// </summary>
    [EndToEndFact]
    public void A_signal_at_any_instruction_of_a_transition_is_none_at_its_ENCLU()
    {
        Outcome outcome = Machine.Run([Machine.Softsgx, "run", "--probe-monitor", Machine.BuildNativeTest("transitions"), "probe"]);

        Assert.Equal(12, Names(outcome, "ok ").Count());
        Assert.Equal([], Failed(outcome));
        Assert.Equal("exit 0", outcome.End);
    }

    [EndToEndTheory]
    [InlineData("hello")]
    [InlineData("hello", "--debug")]
    [InlineData("exceptions")]
    [InlineData("threads")]
    [InlineData("threads", "--threads", "16")]
    [InlineData("v22")]
    [InlineData("bigheap", "--mib", "8", "--threads", "3", "--rounds", "2")]
    public void The_samples_run(string sample, params string[] arguments)
    {
        Outcome outcome = Machine.Supervised([Machine.BuildSample(sample), .. arguments]).Ended("exit 0");
        Assert.EndsWith($"{sample}: ok\n", outcome.Text, StringComparison.Ordinal);
    }

    [EndToEndFact]
    public void Without_softsgx_a_sample_says_that_there_is_no_sgx()
    {
        if (File.Exists("/dev/sgx_enclave"))
        {
            return; // this machine has SGX
        }
        Outcome outcome = Machine.Run([Machine.BuildSample("hello")]).Ended("exit 1");
        Assert.Contains("no SGX", outcome.ErrorText, StringComparison.Ordinal);
    }

    private static IEnumerable<string> Failed(Outcome outcome) => Names(outcome, "not ok ").Select(static line => line.Split(": got ")[0]);

    private static IEnumerable<string> Names(Outcome outcome, string prefix) =>
        outcome.Text.Split('\n').Where(line => line.StartsWith(prefix, StringComparison.Ordinal)).Select(line => line[prefix.Length..]);

    private static IEnumerable<string> KnownLimits(string program) =>
        File.ReadLines(Path.Combine(Machine.NativeTests, "known_limits.txt"))
            .Where(static line => !line.StartsWith('#'))
            .Select(static line => line.Split(" | "))
            .Where(fields => fields[0] == program)
            .Select(static fields => fields[1]);
}
