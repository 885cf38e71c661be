using System.Globalization;

namespace SoftSgx.Host.Tests.EndToEnd;

/// <summary>Programs that pass garbage, or pull away the ground, harm only themselves.</summary>
[Collection(nameof(EndToEnd))]
public sealed class HostileTests
{
    [EndToEndFact]
    public void Garbage_gets_the_errors_that_the_kernel_gives()
    {
        string garbage = Machine.Build("garbage");
        _ = Machine.SameAsPlain($"$RUN {garbage}").Ended("exit 0");
    }

    [EndToEndFact]
    public void Arguments_that_change_during_the_call_harm_nobody()
    {
        using TemporaryFolder folder = Machine.NewFolder();
        _ = Machine.Run([Machine.Softsgx, "run", Machine.Build("racing"), "3"], folder: folder.Path).Ended("exit 21");
    }

    [EndToEndFact]
    public void A_descriptor_closed_during_a_call_is_the_calls_own_until_its_end()
    {
        using TemporaryFolder folder = Machine.NewFolder();
        _ = Machine.Run([Machine.Softsgx, "run", "--epc", "1M", Machine.Build("closing")], folder: folder.Path).Ended("exit 0");
    }

    /// <summary>The threads have to meet within microseconds: most runs find nothing, also where there is something to find.</summary>
    [EndToEndFact]
    public void Memory_that_takes_the_place_of_an_enclaves_is_left_alone()
    {
        string rounds = Environment.GetEnvironmentVariable("SOFTSGX_SOAK") == "1" ? "50000" : "1000";
        using TemporaryFolder folder = Machine.NewFolder();
        _ = Machine.Run([Machine.Softsgx, "run", Machine.Build("replacing"), rounds], seconds: 600, folder: folder.Path).Ended("exit 0");
    }

    [EndToEndFact]
    public void ENCLU_outside_an_enclave_is_a_fault_of_the_program()
    {
        Outcome outcome = Machine.Supervised(Machine.Build("enclu")).Ended("exit 0");
        Assert.EndsWith("end\n", outcome.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("came back", outcome.Text, StringComparison.Ordinal);
    }

    [EndToEndFact]
    public void An_unhandled_fault_of_ENCLU_kills_the_program()
    {
        Outcome outcome = Machine.Supervised(Machine.Build("enclu"), "deadly").Ended("signal 11");
        Assert.DoesNotContain("came back", outcome.Text, StringComparison.Ordinal);
    }

    [EndToEndFact]
    public void The_number_of_the_trap_means_nothing_elsewhere() =>
        Machine.Supervised(Machine.Build("enclu"), "false-trap").Ended(Machine.Run([Machine.Build("enclu"), "false-trap"]).End);

    [EndToEndTheory]
    [InlineData("nothing")]
    [InlineData("unmap")]
    [InlineData("overwrite")]
    [InlineData("protect")]
    [InlineData("move")]
    public void The_vDSO_image_is_the_programs_to_break(string how)
    {
        Outcome outcome = Machine.Supervised(Machine.Build("vdso"), how);
        Assert.True(outcome is { End: "exit 0", Text: "went on, child 3\n", Left.Count: 0 }, outcome.ToString());
    }

    [EndToEndTheory]
    [InlineData("arguments")]
    [InlineData("descriptors")]
    [InlineData("ranges")]
    [InlineData("image")]
    [InlineData("file")]
    [InlineData("helpers")]
    [InlineData("signals")]
    [InlineData("storm")]
    [InlineData("exec")]
    [InlineData("no-descriptors")]
    [InlineData("no-addresses")]
    [InlineData("many")]
    [InlineData("tracing")]
    public void Who_attacks_the_supervisor_harms_nobody_beside(string how)
    {
        _ = Machine.BuildWithEnclave("enclaves"); // whose enclave it is
        string hostile = Machine.BuildWithEnclave("hostile");
        int seconds = Environment.GetEnvironmentVariable("SOFTSGX_SOAK") == "1" ? 60 : 2;
        using TemporaryFolder folder = Machine.NewFolder();
        string script =
            $"""
            trap '' HUP TERM USR1 USR2 ALRM
            {hostile} innocent &
            while [ ! -e ready ]; do sleep 0.01; done
            sh -c '{hostile} {how} {seconds}; exit $?' >attack 2>/dev/null
            status=$?
            touch stop
            wait $!
            echo "attack: $status"
            cat attack
            """;
        // So many enclaves that nobody else finds a page are another matter.
        string epc = how == "many" ? "64M" : "2M";
        Outcome outcome = Machine.Run([Machine.Softsgx, "run", "--epc", epc, "sh", "-c", script], folder: folder.Path, seconds: 120 + seconds).Ended("exit 0");
        string status = how is "ranges" or "image" or "file" ? outcome.Text.Split('\n')[1] : "attack: 0"; // those may end in any way
        Assert.Equal($"innocent: well\n{status}\n", outcome.Text);
        Assert.Equal("", outcome.ErrorText);
    }

    [EndToEndTheory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    public void Random_calls_end_as_the_program_says(int seed)
    {
        using TemporaryFolder folder = Machine.NewFolder();
        string[] fuzz = [Machine.Build("fuzz"), seed.ToString(CultureInfo.InvariantCulture), "2"];
        _ = Machine.Run([Machine.Softsgx, "run", "--epc", "1M", .. fuzz], folder: folder.Path).Ended("exit 33");
    }
}
