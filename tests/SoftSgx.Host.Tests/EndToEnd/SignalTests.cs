namespace SoftSgx.Host.Tests.EndToEnd;

/// <summary>Signals of the program's own, and those that others send to it or to softsgx.</summary>
[Collection(nameof(EndToEnd))]
public sealed class SignalTests
{
    [EndToEndTheory]
    [InlineData("timer")]
    [InlineData("queued")]
    [InlineData("interval")]
    [InlineData("alternate-stack")]
    [InlineData("faults")]
    [InlineData("blocked-fault")]
    [InlineData("ignored-fault")]
    [InlineData("sent-faults")]
    [InlineData("interrupted")]
    public void The_outcome_is_the_same(string what)
    {
        string signals = Machine.Build("signals");
        // "exec": the shell would report the death in words.
        Machine.SameAsPlain($"exec $RUN {signals} {what}");
    }

    [EndToEndTheory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(10)]
    [InlineData(12)]
    [InlineData(14)]
    [InlineData(28)]
    [InlineData(20)]
    [InlineData(23)]
    [InlineData(26)]
    [InlineData(29)]
    [InlineData(30)]
    public void A_signal_to_softsgx_reaches_the_program_once(int signal)
    {
        string signals = Machine.Build("signals");
        using TemporaryFolder folder = Machine.NewFolder();
        Outcome outcome = Machine.Script(
            $$"""
            mkfifo fifo
            $RUN {{signals}} report >fifo &
            run=$!
            exec 3<fifo
            read ready <&3; echo "$ready"
            kill -{{signal}} $run
            read got <&3; echo "$got"
            kill -TERM $run
            cat <&3
            wait $run; echo $?
            """, $"{Launch(signal)} {Machine.Softsgx} run", folder: folder.Path);
        outcome.Said($"ready\ngot {signal:00}\ngot 15\n5\n");
    }

    [EndToEndTheory]
    [InlineData("STOP")]
    [InlineData("TSTP")]
    public void A_program_stopped_and_continued_by_its_own_child_goes_on(string signal) => Machine.SameAsPlain(
        $$"""
        $RUN sh -c '(while kill -CONT $$ && [ ! -s done ]; do :; done) & kill -{{signal}} $$; echo continued; echo x >done; wait'
        """);

    /// <summary>A shell without job control starts background commands with SIGINT and SIGQUIT ignored; this undoes it.</summary>
    private static string Launch(int signal) => signal is 2 or 3 ? "env --default-signal=INT,QUIT" : "";
}
