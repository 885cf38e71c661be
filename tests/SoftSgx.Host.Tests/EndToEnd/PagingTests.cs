using System.Text.Json;

namespace SoftSgx.Host.Tests.EndToEnd;

/// <summary>Programs whose enclaves are larger than the EPC.</summary>
[Collection(nameof(EndToEnd))]
public sealed class PagingTests
{
    /// <summary>An EPC of 512 pages.</summary>
    private const string Epc = "2M";

    private static string Program => Machine.BuildWithEnclave("paging");

    [EndToEndTheory]
    [InlineData("walk 2048 4")]
    [InlineData("walk 600 6")]
    [InlineData("threads 1500 5 3")]
    [InlineData("threads 3000 3 15")]
    public void Every_word_of_an_enclave_larger_than_the_EPC_is_right(string what) =>
        Run(what).Said("every word is right\n");

    [EndToEndFact]
    public void An_EPC_of_a_few_pages_more_than_a_batch_is_enough() =>
        Machine.Run([Machine.Softsgx, "run", "--epc", "512K", Program, "threads", "600", "2", "2"]).Said("every word is right\n");

    [EndToEndFact]
    public void Parent_and_child_page_the_same_enclave() =>
        Run("fork 1500 4").Said("no children left: 1\n");

    [EndToEndFact]
    public void Accesses_from_outside_bring_pages_in_too() =>
        Run("outside 1500").Said("wrong: 0\n");

    /// <summary>Also when no more signals may be queued for the user, which others may have used up.</summary>
    [EndToEndTheory]
    [InlineData]
    [InlineData("prlimit", "--sigpending=0")]
    public void An_absent_page_is_SIGBUS_at_its_address_while_others_come_and_go(params string[] under) =>
        // With SGX2 a page comes into being there, by EAUG.
        Machine.Run([.. under, Machine.Softsgx, "run", "--sgx1", "--epc", Epc, Program, "absent", "1000"]).Said("""
            read: faults 1, signal 7, code 2, address right
            write: faults 1, signal 7, code 2, address right
            blocked: signal 7

            """);

    [EndToEndFact]
    public void The_ageing_process_is_nobody_the_program_knows_and_holds_nothing() =>
        Run("helper 600").Said("""
            before: 0, descriptors 0
            with an enclave: 1, descriptors 0
            wait: -1 1
            wait for all: -1 1
            threads 1
            with a child: 2, descriptors 0
            after the child: 1, descriptors 0
            after exec: 0, descriptors 0

            """);

    [EndToEndTheory]
    [InlineData("kill")]
    [InlineData("stop")]
    [InlineData("term")]
    [InlineData("unmap")]
    [InlineData("lock")]
    [InlineData("descriptors")]
    [InlineData("advise")]
    public void A_program_may_harm_the_means_of_paging(string how) =>
        Run("mistreat " + how).Said("every word is right\n");

    [EndToEndFact]
    public void A_page_that_the_program_takes_out_of_the_file_itself_is_SIGBUS() =>
        Run("mistreat hole").Said("every word is right\nlost: faults 1\n");

    [EndToEndFact]
    public void Threads_that_take_their_pages_out_of_the_file_get_each_fault_where_it_is() =>
        Run("lose 1000 4").Said("lost: some\n");

    [EndToEndTheory]
    [InlineData("the program")]
    [InlineData("the supervisor")]
    public void Whoever_is_killed_nobody_is_left(string who)
    {
        int times = Environment.GetEnvironmentVariable("SOFTSGX_SOAK") == "1" ? 200 : 4;
        string victim = who == "the program" ? "$program" : "$!";
        // Fractions of a second at which to kill, the same every time.
        string script = $$"""
            i=0
            while [ $i -lt {{times}} ]; do
                rm -f out; mkfifo out
                $RUN --epc {{Epc}} {{Program}} for-ever 1200 >out 2>/dev/null &
                read program <out
                sleep 0.0$((i * 37 % 100))
                kill -KILL {{victim}}
                wait $!
                i=$((i + 1))
            done
            echo done
            """;
        using TemporaryFolder folder = Machine.NewFolder();
        Outcome outcome = Machine.Run(
            ["/bin/sh", "-c", $"RUN='{Machine.Softsgx} run'; {script}"], seconds: 120 + (times * 3), folder: folder.Path).Ended("exit 0");
        Assert.Equal("done\n", outcome.Text);
    }

    [EndToEndTheory]
    [InlineData("dd if=/dev/zero of=$fd bs=4096 count=1200 conv=notrunc", "refused: some, wrong: 0")]
    [InlineData("dd if=/dev/urandom of=$fd bs=4096 count=1200 conv=notrunc", "refused: some, wrong: 0")]
    [InlineData("truncate -s 0 $fd", "refused: none, wrong: 0")]
    public void What_is_changed_in_the_backing_store_is_refused_and_never_seen(string attack, string said)
    {
        string script = $$"""
            mkfifo in out
            $RUN --epc {{Epc}} '{{Program}}' tampered 1200 <in >out &
            exec 3>in 4<out
            read ready <&4
            for fd in /proc/$!/fd/*; do
                case $(readlink $fd) in */memfd:sgx-backing*) {{attack}} 2>/dev/null;; esac
            done
            echo go >&3
            cat <&4
            wait $! && echo ended
            """;
        using TemporaryFolder folder = Machine.NewFolder();
        Outcome outcome = Machine.Run(["/bin/sh", "-c", $"RUN='{Machine.Softsgx} run'; {script}"], folder: folder.Path).Ended("exit 0");
        Assert.Equal($"{said}\nended\n", outcome.Text);
    }

    /// <summary>
    /// A soak runs a million pages out and in. When the last enclave has ended nothing is left in the EPC or in a backing store.
    /// </summary>
    [EndToEndTheory]
    [InlineData(1)]
    [InlineData(4)]
    public void Many_cycles_lose_no_byte_and_leave_nothing(int programs)
    {
        const int pages = 2048, cyclesAWalk = pages - 512;
        int cycles = Environment.GetEnvironmentVariable("SOFTSGX_SOAK") == "1" ? 500_000 : 12_000;
        int walks = (cycles / cyclesAWalk / programs) + 1;
        using TemporaryFolder folder = Machine.NewFolder();
        string file = Path.Combine(folder.Path, "stats.json");
        string script = string.Concat(Enumerable.Repeat($"'{Program}' walk {pages} {walks} & ", programs)) + "wait";
        Outcome outcome = Machine.Run(
            [Machine.Softsgx, "run", "--epc", Epc, "--stats", file, "sh", "-c", script], seconds: 120 + (cycles / 1000)).Ended("exit 0");
        Assert.Equal(string.Concat(Enumerable.Repeat("every word is right\n", programs)), outcome.Text);

        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(file));
        JsonElement total = json.RootElement.GetProperty("total");
        Assert.InRange(total.GetProperty("loads").GetInt64(), cycles, long.MaxValue);
        Assert.Equal(programs, json.RootElement.GetProperty("enclaves").GetArrayLength());
        Assert.All(["epcPages", "enclavePages", "vaPages", "backingBytes", "failures"], name => Assert.Equal(0, total.GetProperty(name).GetInt64()));
    }

    private static Outcome Run(string what) => Machine.Run([Machine.Softsgx, "run", "--epc", Epc, Program, .. what.Split(' ')]);
}
