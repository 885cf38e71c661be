namespace SoftSgx.Host.Tests.EndToEnd;

/// <summary>A program finds the state that the shell gave it: arguments, environment, descriptors, limits, signals.</summary>
[Collection(nameof(EndToEnd))]
public sealed class StartTests
{
    private static readonly string s_state = Capabilities.Missing is null ? Machine.Build("state") : "";

    [EndToEndFact]
    public void The_state_is_as_the_shell_left_it() => Machine.SameAsPlain($"$RUN {s_state} one two");

    [EndToEndTheory]
    [InlineData("ulimit -Sn 300; ulimit -Sc 0; ulimit -Ss 4096")]
    [InlineData("umask 0; cd /")]
    [InlineData("umask 777")]
    [InlineData("trap '' HUP USR1 INT QUIT")]
    [InlineData("trap '' PIPE ILL SEGV TRAP CHLD")]
    [InlineData("mkdir gone; cd gone; rmdir ../gone; exec 2>/dev/null")]
    [InlineData("export EMPTY= ONE=1 'SPACE=a b'; unset PWD")]
    [InlineData("exec 0<&-")]
    [InlineData("exec 1>out 3<out 5>>out 9>&2; echo before; echo five >&5")]
    [InlineData("exec 3</dev/null 4</dev/null 5</dev/null 6</dev/null 7</dev/null 8</dev/null 9</dev/null")]
    [InlineData("exec </dev/null")]
    public void The_state_is_as_it_was_prepared(string preparation) =>
        Machine.SameAsPlain($"({preparation}; exec $RUN {s_state}; echo failed); end=$?; [ ! -f out ] || cat out; exit $end");

    [EndToEndFact]
    public void Each_standard_stream_may_be_closed()
    {
        string closed = Machine.Build("closed_streams");
        Machine.SameAsPlain($"for close in '' '<&-' '>&-' '2>&-' '<&- >&-' '<&- 2>&-' '>&- 2>&-' '<&- >&- 2>&-'; do eval \"$RUN {closed} list $close\"; cat list; done");
    }

    [EndToEndFact]
    public void Niceness_affinity_and_parent_death_are_kept() =>
        Machine.SameAsPlain($"nice -n 5 $RUN {s_state}; taskset -c 0 $RUN {s_state} 2>&1; chrt -b 0 $RUN {s_state} 2>&1");

    [EndToEndFact]
    public void Environment_and_arguments_are_the_bytes_that_were_given()
    {
        // env -i leaves nothing of the test's own; execve takes what no shell would write, by a program that calls it.
        string odd = Machine.Build("odd_start");
        Outcome plain = Machine.Run([odd, s_state]);
        Outcome supervised = Machine.Run([odd, Machine.Softsgx, "run", s_state]);
        Assert.Equal("exit 0", plain.End);
        Assert.Contains("environment NO-EQUALS-SIGN", plain.Text, StringComparison.Ordinal);
        Assert.Equal(Lines(plain), Lines(supervised));
        _ = supervised.Ended("exit 0");

        // Run plainly it leads the group that the waiter made.
        static IEnumerable<string> Lines(Outcome outcome) => outcome.Text.Split('\n').Where(static line => !line.Contains(" group ", StringComparison.Ordinal));
    }

    [EndToEndTheory]
    [InlineData(1_000)]
    [InlineData(1_200_000)]
    public void A_large_environment_arrives(int bytes)
    {
        string large = Machine.Build("large_environment");
        Machine.SameAsPlain($"{large} {bytes} $RUN /usr/bin/env | cksum");
    }

    [EndToEndTheory]
    [InlineData("@response")]
    [InlineData("--")]
    [InlineData("--help")]
    [InlineData("-h")]
    [InlineData("--version")]
    [InlineData("--epc")]
    [InlineData("[diagram]")]
    [InlineData("")]
    [InlineData("-- -- x")]
    [InlineData("a=b --genuine-intel --epc=1")]
    public void Arguments_that_look_like_ours_are_the_programs(string arguments)
    {
        string[] words = arguments.Split(' ');
        Outcome plain = Machine.Run(["/usr/bin/printf", "<%s>\\n", .. words]);
        Machine.Run([Machine.Softsgx, "run", "/usr/bin/printf", "<%s>\\n", .. words]).Said(plain.Text);
        Machine.Run([Machine.Softsgx, "run", "--", "/usr/bin/printf", "<%s>\\n", .. words]).Said(plain.Text);
        Machine.Run([Machine.Softsgx, "run", "--epc", "1M", "/usr/bin/printf", "<%s>\\n", .. words]).Said(plain.Text);
    }

    [EndToEndFact]
    public void Standard_input_is_binary_clean()
    {
        byte[] all = new byte[300_000];
        new Random(1).NextBytes(all);
        Outcome outcome = Machine.Run([Machine.Softsgx, "run", "cat"], all).Ended("exit 0");
        Assert.Equal(all, outcome.Output);
    }

    [EndToEndFact]
    public void Output_to_one_file_keeps_its_order() =>
        Machine.SameAsPlain("echo first >out; $RUN sh -c 'echo second; echo third >&2' >>out 2>&1; echo fourth >>out; cat out");

    [EndToEndFact]
    public void A_pipeline_ends_by_its_reader() =>
        Machine.SameAsPlain("($RUN yes; echo $? >status) | head -c 10; while [ ! -s status ]; do :; done; cat status");

    [EndToEndFact]
    public void A_command_whose_output_nobody_reads_ends_by_SIGPIPE()
    {
        using TemporaryFolder folder = Machine.NewFolder();
        // A named pipe that has lost its reader.
        const string Script =
            """
            mkfifo "$1/pipe"; exec 3<>"$1/pipe" 4>"$1/pipe" 3<&-
            for command in leaves '--help' 'run --explain=json' "inspect --json $2" "measure --trace $2" "measure --json $2"; do
                "$0" $command >&4; echo "$?"
            done
            (trap '' PIPE; exec "$0" leaves >&4); echo "$?"
            "$0" leaves >/dev/full; echo "$?"
            """;
        // An enclave of one page, as an SGXS stream.
        byte[] stream = new byte[128];
        "ECREATE\0\x01\0\0\0\0\x20"u8.CopyTo(stream);
        "EADD"u8.CopyTo(stream.AsSpan(64));
        stream[64 + 16] = 3;
        stream[64 + 17] = 2;
        string image = Path.Combine(folder.Path, "enclave.sgxs");
        File.WriteAllBytes(image, stream);
        Outcome outcome = Machine.Run(["/bin/bash", "-c", Script, Machine.Softsgx, folder.Path, image]).Ended("exit 0");
        Assert.Equal("141\n141\n141\n141\n141\n141\n125\n125\n", outcome.Text);
        Assert.Equal(
            "softsgx: standard output cannot be written: Broken pipe\nsoftsgx: standard output cannot be written: No space left on device\n",
            outcome.ErrorText);
    }

    [EndToEndFact]
    public void Statuses_0_to_255_come_through()
    {
        // One supervisor for each would be slow; these are the borders.
        foreach (int status in (int[])[0, 1, 2, 124, 125, 126, 127, 128, 129, 137, 254, 255])
        {
            _ = Machine.Supervised("sh", "-c", $"exit {status}").Ended($"exit {status}");
        }
    }

    [EndToEndTheory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    [InlineData(7)]
    [InlineData(8)]
    [InlineData(9)]
    [InlineData(10)]
    [InlineData(11)]
    [InlineData(13)]
    [InlineData(14)]
    [InlineData(15)]
    [InlineData(24)]
    [InlineData(31)]
    [InlineData(34)]
    [InlineData(64)]
    public void Death_by_a_signal_is_seen_as_that(int signal) =>
        Machine.Supervised("sh", "-c", $"kill -{signal} $$").Ended($"signal {signal}");

    [EndToEndFact]
    public void Programs_that_cannot_be_executed_are_told_apart()
    {
        using TemporaryFolder folder = Machine.NewFolder();
        string Write(string name, string text, bool executable)
        {
            string path = Path.Combine(folder.Path, name);
            File.WriteAllText(path, text);
            File.SetUnixFileMode(path, executable ? (UnixFileMode)0x1ED : (UnixFileMode)0x1A4);
            return path;
        }
        Check(Machine.Supervised("/no/such/program"), 127, "no such file");
        Check(Machine.Supervised("no-such-program-on-the-path"), 127, "no such file");
        Check(Machine.Supervised(""), 127, "no such file");
        Check(Machine.Supervised("/etc/passwd/x"), 127, "not a directory");
        Check(Machine.Supervised("/usr"), 126, "");
        Check(Machine.Supervised(Write("plain", "echo hello\n", executable: false)), 126, "permission denied");
        Check(Machine.Supervised(Write("text", "echo hello\n", executable: true)), 126, "exec format error");
        Check(Machine.Supervised(Write("empty", "", executable: true)), 126, "exec format error");
        Check(Machine.Supervised(Write("bad-interpreter", "#!/no/such/interpreter\n", executable: true)), 127, "no such file");
        Machine.Supervised(Write("script", "#!/bin/sh\necho \"$0 $1\"\n", executable: true), "x").Said($"{folder.Path}/script x\n");

        static void Check(Outcome outcome, int status, string message)
        {
            _ = outcome.Ended($"exit {status}");
            Assert.Equal("", outcome.Text);
            Assert.Contains(message, outcome.ErrorText, StringComparison.Ordinal);
            Assert.Single(outcome.ErrorText.TrimEnd('\n').Split('\n'));
        }
    }

    [EndToEndFact]
    public void Too_few_open_files_are_said_in_one_line()
    {
        Outcome outcome = Machine.Script("ulimit -n 40; exec $RUN true", $"{Machine.Softsgx} run").Ended("exit 125");
        Assert.Single(outcome.ErrorText.TrimEnd('\n').Split('\n'));
    }

    [EndToEndFact]
    public void A_32_bit_program_runs_without_SGX()
    {
        using TemporaryFolder folder = Machine.NewFolder();
        string path = Path.Combine(folder.Path, "program32");
        File.WriteAllBytes(path, Elf32Program(status: 42));
        File.SetUnixFileMode(path, (UnixFileMode)0x1ED);
        if (Machine.Run([path]).End != "exit 42")
        {
            return; // this kernel runs no 32-bit programs
        }
        Outcome outcome = Machine.Supervised(path).Ended("exit 42");
        Assert.Contains("not a 64-bit program", outcome.ErrorText, StringComparison.Ordinal);
        // From a 64-bit one and back to one.
        _ = Machine.Supervised("sh", "-c", $"{path}; [ $? = 42 ] && exec /bin/echo back").Ended("exit 0");
    }

    [EndToEndFact]
    public void A_static_program_runs()
    {
        string state = Machine.Build("state", "-static");
        Machine.SameAsPlain($"$RUN {state}");
    }

    [EndToEndFact]
    public void Softsgx_inside_softsgx_says_so_or_works()
    {
        Outcome outcome = Machine.Run([Machine.Softsgx, "run", Machine.Softsgx, "run", "/bin/echo", "inner"]);
        Assert.Empty(outcome.Left);
        if (outcome.End == "exit 0")
        {
            Assert.Equal("inner\n", outcome.Text);
        }
        else
        {
            Assert.Equal("exit 125", outcome.End);
            Assert.Single(outcome.ErrorText.TrimEnd('\n').Split('\n'));
        }
    }

    /// <summary>mov eax, 1; mov ebx, status; int 0x80 in the smallest static ELF of 32 bits.</summary>
    private static byte[] Elf32Program(byte status)
    {
        const int HeaderBytes = 52, ProgramHeaderBytes = 32, Base = 0x08048000;
        byte[] code = [0xB8, 1, 0, 0, 0, 0xBB, status, 0, 0, 0, 0xCD, 0x80];
        using MemoryStream file = new();
        using BinaryWriter writer = new(file);
        writer.Write((byte[])[0x7F, (byte)'E', (byte)'L', (byte)'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        writer.Write((short)2); // ET_EXEC
        writer.Write((short)3); // EM_386
        foreach (int word in (int[])[1, Base + HeaderBytes + ProgramHeaderBytes, HeaderBytes, 0, 0])
        {
            writer.Write(word);
        }
        foreach (short half in (short[])[HeaderBytes, ProgramHeaderBytes, 1, 0, 0, 0])
        {
            writer.Write(half);
        }
        int size = HeaderBytes + ProgramHeaderBytes + code.Length;
        foreach (int word in (int[])[1 /* PT_LOAD */, 0, Base, Base, size, size, 5 /* R X */, 0x1000])
        {
            writer.Write(word);
        }
        writer.Write(code);
        return file.ToArray();
    }
}

/// <summary>These tests start processes and watch them: one at a time, beside no others.</summary>
[CollectionDefinition(nameof(EndToEnd), DisableParallelization = true)]
#pragma warning disable CA1711 // xunit's word
public sealed class EndToEndCollection;
#pragma warning restore CA1711
