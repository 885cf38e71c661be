namespace SoftSgx.Host.Tests.EndToEnd;

/// <summary>A program at a terminal: its keys, its size, and the job control of the shells above and below softsgx.</summary>
[Collection(nameof(EndToEnd))]
public sealed class TerminalTests
{
    [EndToEndTheory]
    [InlineData(@"type \x03", "02")]
    [InlineData(@"type \x1c", "03")]
    [InlineData(@"type \x1a", "20")]
    [InlineData("size 40 132", "28")]
    public void A_key_is_one_signal_to_the_program(string key, string signal)
    {
        Outcome outcome = AtTerminal(
            $"expect ready\n{key}\nexpect got {signal}\nkill 15\n", Machine.Softsgx, "run", Machine.Build("signals"), "report");
        Assert.Contains("[exit 5]", outcome.Text, StringComparison.Ordinal);
        Assert.Equal(2, outcome.Text.Split("got ").Length - 1);
    }

    [EndToEndFact]
    public void An_interactive_shell_inside_has_job_control()
    {
        Outcome outcome = AtTerminal(
            """
            type PS1='rea''dy> '\r
            expect ready> 
            type echo $((6*7))\r
            expect 42
            expect ready> 
            type sh -c 'echo up""per; exec cat'\r
            expect upper
            type hello\r
            expect hello
            expect hello
            type \x1a
            expect Stopped
            expect ready> 
            type jobs\r
            expect cat
            expect ready> 
            type fg\r
            expect cat
            type again\r
            expect again
            expect again
            type \x03
            expect ready> 
            type echo status=$?\r
            expect status=130
            type true & wait $!; echo background=$?\r
            expect background=0
            type sh -c 'echo up""per; exec cat'\r
            expect upper
            type last\r
            expect last
            expect last
            type \x1c
            expect ready> 
            type echo status=$?\r
            expect status=131
            type exit 9\r
            """,
            Machine.Softsgx, "run", "bash", "--norc", "-i");
        Assert.Contains("[exit 9]", outcome.Text, StringComparison.Ordinal);
    }

    [EndToEndFact]
    public void Softsgx_is_a_job_of_the_shell_above()
    {
        Outcome outcome = AtTerminal(
            $"""
            type PS1='rea''dy> '\r
            expect ready> 
            type {Machine.Softsgx} run sh -c 'echo pr""ogram; cat; exit 6'\r
            expect program
            type one\r
            expect one
            expect one
            type \x1a
            expect Stopped
            expect ready> 
            type fg\r
            expect run
            type two\r
            expect two
            expect two
            type \x1a
            expect Stopped
            expect ready> 
            type bg\r
            expect cat
            expect ready> 
            type until jobs | grep -q Stopped; do :; done; echo rea''d it\r
            expect read it
            expect ready> 
            type fg\r
            expect run
            type three\r
            expect three
            expect three
            type \x04
            expect ready> 
            type echo status=$?\r
            expect status=6
            type {Machine.Softsgx} run sh -c 'echo up""per; exec cat'\r
            expect upper
            type four\r
            expect four
            expect four
            type \x03
            expect ready> 
            type echo status=$?\r
            expect status=130
            type exit 4\r
            """,
            "bash", "--norc", "-i");
        Assert.Contains("[exit 4]", outcome.Text, StringComparison.Ordinal);
    }

    private static Outcome AtTerminal(string script, params string[] command)
    {
        using TemporaryFolder folder = Machine.NewFolder();
        string path = Path.Combine(folder.Path, "script");
        File.WriteAllText(path, script + "\n");
        return Machine.Run([Machine.Build("pty", "-lutil"), path, .. command], folder: folder.Path).Ended("exit 0");
    }
}
