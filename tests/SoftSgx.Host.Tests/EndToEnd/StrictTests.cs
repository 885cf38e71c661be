namespace SoftSgx.Host.Tests.EndToEnd;

/// <summary><c>softsgx run --strict</c>: enclave memory as it looks from outside.</summary>
[Collection(nameof(EndToEnd))]
public sealed class StrictTests
{
    private static string Program => Machine.BuildWithEnclave("strict");

    [EndToEndTheory]
    [InlineData("accesses")]
    [InlineData("signals")]
    [InlineData("threads")]
    [InlineData("inside")]
    [InlineData("forks")]
    public void Outside_reads_give_ones_and_writes_vanish(string what) =>
        Machine.Run([Machine.Softsgx, "run", "--strict", Program, what]).Said($"{what}: as on hardware\n");

    [EndToEndFact]
    public void What_is_a_fault_stays_one() =>
        // With SGX2 an absent page comes into being, by EAUG, and reads as ones.
        Machine.Run([Machine.Softsgx, "run", "--strict", "--sgx1", Program, "faults"]).Said("faults: as on hardware\n");

    [EndToEndTheory]
    [InlineData("walk 1000 3")]
    [InlineData("threads 1500 2 3")]
    [InlineData("fork 800 3")]
    public void Paging_works_while_memory_is_closed_and_opened(string what) =>
        Machine.Run([Machine.Softsgx, "run", "--strict", "--epc", "1M", Machine.BuildWithEnclave("paging"), .. what.Split(' ')])
            .Said(what.StartsWith("fork", StringComparison.Ordinal) ? "no children left: 1\n" : "every word is right\n");

    [EndToEndTheory]
    [InlineData("kill")]
    [InlineData("unmap")]
    public void Without_its_means_the_enclave_still_works_and_it_says_so(string how)
    {
        Outcome outcome = Machine.Run([Machine.Softsgx, "run", "--strict", "--epc", "2M", Machine.BuildWithEnclave("paging"), "mistreat", how]).Ended("exit 0");
        Assert.Equal("every word is right\n", outcome.Text);
        Assert.Contains("--strict does not hold", outcome.ErrorText, StringComparison.Ordinal);
    }

    [EndToEndTheory]
    [InlineData("kill", "signal 9")]
    [InlineData("exec", "exit 0")]
    [InlineData("fork", "exit 8")]
    [InlineData("close", "exit 9")]
    public void Threads_that_end_inside_leave(string how, string end) =>
        Machine.Run([Machine.Softsgx, "run", "--strict", Machine.BuildWithEnclave("enclaves"), "die", how]).Ended(end);
}
