namespace SoftSgx.Host.Tests.EndToEnd;

/// <summary>Processes and threads: made, ended, orphaned and replaced in every way, with the same outcome as without us.</summary>
[Collection(nameof(EndToEnd))]
public sealed class ProcessTests
{
    [EndToEndTheory]
    [InlineData("threads 100")]
    [InlineData("forks 200")]
    [InlineData("tree 6")]
    [InlineData("spawns 20")]
    [InlineData("clones")]
    [InlineData("exec-from-thread 5")]
    [InlineData("leader-ends")]
    [InlineData("exec-chain 30")]
    [InlineData("exec-fails")]
    [InlineData("stop-and-continue")]
    [InlineData("kill-stopped")]
    [InlineData("killed-while-making-threads")]
    [InlineData("parent-death")]
    public void The_outcome_is_the_same(string what)
    {
        string processes = Machine.Build("processes");
        Outcome outcome = Machine.SameAsPlain($"$RUN {processes} {what}");
        _ = outcome.Ended("exit 0");
    }

    [EndToEndFact]
    public void It_waits_for_a_daemon_and_has_the_status_of_the_program()
    {
        string processes = Machine.Build("processes");
        // The parent's end is seen in its status: only then the daemon gets its line, and softsgx must still be there.
        Outcome outcome = Machine.Script(
            $"mkfifo fifo; $RUN {processes} daemon fifo & run=$!; echo go >fifo; wait $run; echo \"status $?\"", $"{Machine.Softsgx} run", folder: null);
        outcome.Said("the daemon got: go\nstatus 0\n");
    }

    [EndToEndFact]
    public void An_orphan_is_waited_for()
    {
        string processes = Machine.Build("processes");
        Outcome outcome = Machine.Supervised(processes, "orphan").Ended("exit 6");
        Assert.Equal("an orphan\n", outcome.Text);
    }

    [EndToEndFact]
    public void Killing_the_program_ends_softsgx_the_same_way()
    {
        Outcome outcome = Machine.Script("$RUN sh -c 'echo $$ >pid; kill -9 $$'; echo $?", $"{Machine.Softsgx} run");
        outcome.Said("137\n");
    }

    [EndToEndFact]
    public void Killing_softsgx_kills_everything_below_it()
    {
        // The program's processes announce themselves on a fifo; its end of file says that all of them are gone.
        using TemporaryFolder folder = Machine.NewFolder();
        Outcome outcome = Machine.Script(
            """
            mkfifo fifo
            $RUN sh -c 'for i in 1 2 3; do (setsid sh -c "echo up; exec cat" <fifo2 & ); done; echo up; exec cat <fifo2' >fifo &
            run=$!
            mkfifo fifo2 2>/dev/null
            exec 4<>fifo2 3<fifo
            for i in 1 2 3 4; do read up <&3; done
            kill -9 $run
            cat <&3
            wait $run
            echo "gone $?"
            """.Replace("mkfifo fifo\n", "mkfifo fifo fifo2\n", StringComparison.Ordinal), $"{Machine.Softsgx} run", folder: folder.Path);
        Assert.True(outcome.Left.Count == 0 && outcome.Text == "gone 137\n", outcome.ToString());
    }
}
