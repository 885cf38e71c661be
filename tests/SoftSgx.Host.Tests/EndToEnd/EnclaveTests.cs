namespace SoftSgx.Host.Tests.EndToEnd;

/// <summary>Programs with enclaves that die, leak, run out and go wrong around them.</summary>
[Collection(nameof(EndToEnd))]
public sealed class EnclaveTests
{
    [EndToEndTheory]
    [InlineData("kill", "signal 9")]
    [InlineData("tgkill", "signal 9")]
    [InlineData("exit", "exit 7")]
    [InlineData("exec", "exit 0")]
    [InlineData("fork", "exit 8")]
    [InlineData("close", "exit 9")]
    [InlineData("stop", "exit 10")]
    public void A_process_changes_or_ends_while_threads_compute_inside(string how, string end) =>
        Machine.Supervised(Machine.BuildWithEnclave("enclaves"), "die", how).Ended(end);

    [EndToEndTheory]
    [InlineData("threads 64", "all came back\n")]
    [InlineData("alarms", "all came back\n")]
    [InlineData("sandbox", "sandbox\ncalls from the sandbox\n")]
    [InlineData("as-buffer", "survived 1\n")]
    [InlineData("family", "all came back\n")]
    [InlineData("killed-family", "all killed\n")]
    [InlineData("mistreat before", "CREATE failed 1\n")]
    [InlineData("mistreat after", "survived\nthe next one works\n")]
    public void It_goes_well(string what, string output) =>
        Machine.Supervised([Machine.BuildWithEnclave("enclaves"), .. what.Split(' ')]).Said(output);

    [EndToEndTheory]
    [InlineData("illegal 4", "all came back\n")]
    [InlineData("blocked", "blocked 1 1 0, pending 1 1 0\n")]
    public void Signals_of_faults_stay_the_program_s_own_without_the_fast_path_and_with_it(string what, string output)
    {
        Machine.Run([Machine.Softsgx, "run", Machine.BuildWithEnclave("enclaves"), .. what.Split(' ')]).Said(output);
        Machine.Run([Machine.Softsgx, "run", "--exact", Machine.BuildWithEnclave("enclaves"), .. what.Split(' ')]).Said(output);
    }

    [EndToEndTheory]
    [InlineData("in-a-row 200", "200 enclaves\n")]
    [InlineData("exhaust", "some were built 1, then: Cannot allocate memory\nafter closing all: 0\n")]
    public void A_small_EPC_comes_back(string what, string output) =>
        Machine.Run([Machine.Softsgx, "run", "--epc", "1M", Machine.BuildWithEnclave("enclaves"), .. what.Split(' ')]).Said(output);

    [EndToEndFact]
    public void An_enclave_outlives_its_builder_in_a_socket()
    {
        Outcome outcome = Machine.Supervised(Machine.BuildWithEnclave("enclaves"), "pass").Ended("exit 0");
        Assert.Equal("CREATE again: Invalid argument\n", outcome.Text);
    }
}
