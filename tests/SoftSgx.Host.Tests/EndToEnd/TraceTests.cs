using System.Text.Json;
using System.Text.RegularExpressions;
using SoftSgx.Tests;

namespace SoftSgx.Host.Tests.EndToEnd;

/// <summary>The trace of a run, and what a machine enforces.</summary>
[Collection(nameof(EndToEnd))]
public sealed partial class TraceTests
{
    [EndToEndFact]
    public void A_trace_of_hello_tells_its_story_in_order()
    {
        using TemporaryFolder folder = Machine.NewFolder();
        string file = Path.Combine(folder.Path, "trace");
        Outcome outcome = Machine.Run([Machine.Softsgx, "run", $"--trace={file}", Machine.BuildSample("hello")]).Ended("exit 0");
        Assert.EndsWith("hello: ok\n", outcome.Text, StringComparison.Ordinal);
        Assert.Equal("", outcome.ErrorText);
        string[] story =
        [
            @"openat\(AT_FDCWD, ""/dev/sgx_enclave"", O_RDWR\|O_CLOEXEC\) = 3",
            @"ENCLS\[ECREATE\]\(epcPage=1, base=0x[0-9a-f]+, size=0x20000\) = 0",
            @"ioctl\(3, SGX_IOC_ENCLAVE_CREATE, \{src=0x[0-9a-f]+, base=0x[0-9a-f]+, size=0x20000, ssaFrameSize=1, miscSelect=0, attributes=MODE64BIT, xfrm=X87\|SSE\}\) = 0",
            @"ENCLS\[EADD\]\(epcPage=\d+, linearAddress=0x[0-9a-f]+\(\+0x1000\), secInfo=REG r-x, secs=1\) = 0",
            @"ENCLS\[EEXTEND\]\(epcPage=\d+, linearAddress=0x[0-9a-f]+\(\+0x1100\), secs=1\) = 0",
            @"ioctl\(3, SGX_IOC_ENCLAVE_ADD_PAGES, \{src=0x[0-9a-f]+, offset=0x1000, length=0x2000, secInfo=REG r-x, flags=MEASURE\}\) = 0 \{count=0x2000\}",
            @"ioctl\(3, SGX_IOC_ENCLAVE_ADD_PAGES, \{.* offset=0xf000, length=0x1000, secInfo=TCS ---, flags=MEASURE\}\) = 0 \{count=0x1000\}",
            @"ENCLS\[EINIT\]\(enclaveHash=([0-9a-f]{64}), secs=1\) = 0 \{mrEnclave=\1, mrSigner=[0-9a-f]{64}\}",
            @"ioctl\(3, SGX_IOC_ENCLAVE_INIT, \{sigStruct=0x[0-9a-f]+, enclaveHash=[0-9a-f]{64}, .*\}\) = 0",
            @"mmap\(0x[0-9a-f]+, 0x2000, PROT_READ\|PROT_EXEC, MAP_SHARED\|MAP_FIXED, 3, 0x0\) = 0x[0-9a-f]+ \{enclave=1, enclaveOffset=0x1000\}",
            @"ENCLU\[EENTER\]\(tcs=0x[0-9a-f]+\(\+0xf000\), aep=0x[0-9a-f]+\) = 0 \{cssa=0(, way=vdso)?\}",
            @"ENCLU\[EREPORT\]\(targetInfo=0x[0-9a-f]+\(\+0x[0-9a-f]+\), targetMrEnclave=[0-9a-f]{64}, reportData=.*, report=.*\) = 0",
            @"ENCLU\[EGETKEY\]\(keyRequest=.*, keyName=REPORT_KEY, keyPolicy=0, isvSvn=0, key=.*\) = 0",
            @"ENCLU\[EEXIT\]\(target=0x[0-9a-f]+, aep=0x[0-9a-f]+\) = 0( \{way=site\})?",
            @"munmap\(0x[0-9a-f]+\(\+0x0\), 0x20000\) = 0",
            @"ENCLS\[EREMOVE\]\(epcPage=1, type=SECS\) = 0",
            @"\+\+\+ exited \{status=0\} \+\+\+",
        ];
        AssertStory(story, File.ReadAllLines(file));
    }

    [EndToEndFact]
    public void Exceptions_show_the_exit_the_report_and_the_way_back()
    {
        using TemporaryFolder folder = Machine.NewFolder();
        string file = Path.Combine(folder.Path, "trace");
        _ = Machine.Run([Machine.Softsgx, "run", $"--trace={file}", "--trace-only", "exit,signal,enclu", Machine.BuildSample("exceptions")]).Ended("exit 0");
        string[] story =
        [
            @"ENCLU\[EENTER\]\(.*\) = 0 \{cssa=0(, way=vdso)?\}",
            @"AEX #DE \{rip=0x[0-9a-f]+\(\+0x[0-9a-f]+\), tcs=0x[0-9a-f]+\(\+0xf000\)\}",
            @"--- vdso-exception \{leaf=ERESUME, vector=#DE\} ---",
            @"ENCLU\[EENTER\]\(.*\) = 0 \{cssa=1(, way=vdso)?\}",
            @"ENCLU\[ERESUME\]\(tcs=0x[0-9a-f]+\(\+0xf000\), aep=0x[0-9a-f]+\) = 0( \{way=vdso\})?",
            @"AEX #UD \{.*\}",
            @"AEX #PF \{errorCode=P\|W\|U, address=0x[0-9a-f]+\(\+0x2[0-9a-f]{3}\), rip=.*\}",
            @"--- vdso-exception \{leaf=ERESUME, vector=#PF, errorCode=P\|W\|U, address=0x[0-9a-f]+\(\+0x2000\)\} ---",
        ];
        string[] lines = File.ReadAllLines(file);
        AssertStory(story, lines);
        Assert.DoesNotContain(lines, static line => line.Contains("ENCLS[", StringComparison.Ordinal) || line.Contains("ioctl(", StringComparison.Ordinal));
    }

    [EndToEndTheory]
    [InlineData("hello")]
    [InlineData("exceptions")]
    [InlineData("threads")]
    [InlineData("v22")]
    [InlineData("bigheap", "--mib", "8", "--threads", "3")]
    public void Every_line_of_JSON_is_an_object_whose_names_are_explained(string sample, params string[] arguments)
    {
        using TemporaryFolder folder = Machine.NewFolder();
        string file = Path.Combine(folder.Path, "trace.json");
        _ = Machine.Run([Machine.Softsgx, "run", "--epc", "2M", $"--trace={file}", Machine.BuildSample(sample), .. arguments]).Ended("exit 0");
        HashSet<string> fields = [], names = [];
        DateTime last = default;
        foreach (string line in File.ReadLines(file))
        {
            using JsonDocument json = JsonDocument.Parse(line);
            JsonElement root = json.RootElement;
            fields.UnionWith(root.EnumerateObject().Select(static property => property.Name));
            fields.UnionWith(root.GetProperty("args").EnumerateObject().Concat(root.GetProperty("out").EnumerateObject()).Select(static property => property.Name));
            string kind = root.GetProperty("kind").GetString()!;
            names.Add(kind);
            if (kind is "fault" or "paging" or "process")
            {
                names.Add(root.GetProperty("name").GetString()!);
            }
            Assert.Matches(@"^(\d+|pager|ksgxd|softsgx)$", root.GetProperty("thread").GetString()!);
            DateTime time = root.GetProperty("time").GetDateTime();
            Assert.True(time >= last, line);
            last = time;
        }
        Assert.All(fields, TraceDocument.AssertField);
        Assert.All(names, TraceDocument.AssertName);
        Assert.Superset((HashSet<string>)["call", "encls", "enclu", "process"], names);
        if (sample == "bigheap")
        {
            Assert.Superset((HashSet<string>)["fault", "load", "evict"], names);
        }
    }

    [EndToEndFact]
    public void Lines_of_threads_do_not_mix_and_standard_output_is_the_programs()
    {
        Outcome outcome = Machine.Run([Machine.Softsgx, "run", "--trace", Machine.BuildSample("threads")]).Ended("exit 0");
        Assert.EndsWith("threads: ok\n", outcome.Text, StringComparison.Ordinal);
        string[] lines = outcome.ErrorText.TrimEnd('\n').Split('\n');
        Assert.All(lines, static line => Assert.Matches(Line(), line));
        Assert.InRange(lines.Select(static line => line.Split(' ')[1]).Distinct().Count(), 4, int.MaxValue);
    }

    [EndToEndTheory]
    [InlineData("exit 7", "exit 7", @"\+\+\+ exited \{status=7\} \+\+\+")]
    [InlineData("signal 9", "kill -KILL $$", @"\+\+\+ killed \{signal=SIGKILL\} \+\+\+")]
    [InlineData("signal 15", "kill -TERM $$", @"\+\+\+ killed \{signal=SIGTERM\} \+\+\+")]
    public void A_trace_is_complete_however_the_program_ends(string end, string script, string last)
    {
        using TemporaryFolder folder = Machine.NewFolder();
        string file = Path.Combine(folder.Path, "trace");
        _ = Machine.Run([Machine.Softsgx, "run", $"--trace={file}", "sh", "-c", $"{Machine.BuildSample("hello")}; {script}"]).Ended(end);
        string text = File.ReadAllText(file);
        Assert.EndsWith("\n", text, StringComparison.Ordinal);
        string[] lines = text.TrimEnd('\n').Split('\n');
        Assert.All(lines, static line => Assert.Matches(Line(), line));
        AssertStory([@"ENCLU\[EENTER\].*", @"ENCLS\[EREMOVE\]\(epcPage=1, type=SECS\) = 0", "--- SIGCHLD .*", last], lines);
        Assert.EndsWith(" +++", lines[^1], StringComparison.Ordinal);
    }

    /// <summary>Whether the program or the supervisor makes a transition: the trace of each thread is the same.</summary>
    [EndToEndTheory]
    [InlineData("1")]
    [InlineData("2")]
    [InlineData("3", "together")]
    [InlineData("4", "together")]
    public void A_trace_is_that_of_an_exact_run(params string[] seed)
    {
        using TemporaryFolder folder = Machine.NewFolder();
        string file = Path.Combine(folder.Path, "trace.json");
        string[] traced = [$"--trace={file}", "--trace-only=enclu,exit,signal", Machine.BuildNativeTest("transitions"), "story", .. seed];
        _ = Machine.Run([Machine.Softsgx, "run", "--exact", .. traced]).Ended("exit 0");
        TransitionList exact = TransitionList.Read(file);
        _ = Machine.Run([Machine.Softsgx, "run", .. traced]).Ended("exit 0");
        TransitionList direct = TransitionList.Read(file);

        Assert.Equal(0, exact.DirectCount);
        Assert.InRange(direct.DirectCount, direct.Entries, direct.Entries * 2); // most of them
        Assert.Equal(exact.Stories, direct.Stories);
        direct.AssertWellFormed();
    }

    [EndToEndFact]
    public void A_signal_at_any_instruction_of_a_transition_neither_hides_nor_repeats_it()
    {
        using TemporaryFolder folder = Machine.NewFolder();
        string file = Path.Combine(folder.Path, "trace.json");
        Outcome outcome = Machine.Run(
            [Machine.Softsgx, "run", "--probe-monitor", $"--trace={file}", "--trace-only=enclu,exit", Machine.BuildNativeTest("transitions"), "probe"]);
        Assert.Equal("exit 0", outcome.End);
        TransitionList list = TransitionList.Read(file);
        list.AssertWellFormed();
        int calls = EcallCount().Matches(outcome.Text).Sum(static match => int.Parse(match.Groups[1].ValueSpan, System.Globalization.CultureInfo.InvariantCulture));
        Assert.Equal((calls, calls), (list.Entries, list.Exits));
    }

    [EndToEndFact]
    public void Threads_that_are_killed_anywhere_are_outside_or_die_inside()
    {
        using TemporaryFolder folder = Machine.NewFolder();
        string file = Path.Combine(folder.Path, "trace.json");
        _ = Machine.Run([Machine.Softsgx, "run", $"--trace={file}", "--trace-only=enclu,exit", Machine.BuildNativeTest("transitions"), "killed"]).Ended("exit 0");
        TransitionList list = TransitionList.Read(file);
        list.AssertWellFormed();
        Assert.InRange(list.DirectCount, 100, int.MaxValue);
    }

    /// <summary>Signals, forks, thousands of single steps, programs that overwrite what the monitor keeps, and TCSs that are taken back.</summary>
    [EndToEndTheory]
    [InlineData]
    [InlineData("withdrawn")]
    public void A_trace_of_everything_that_happens_to_transitions_is_well_formed(params string[] part)
    {
        using TemporaryFolder folder = Machine.NewFolder();
        string file = Path.Combine(folder.Path, "trace.json");
        Outcome outcome = Machine.Run(
            [Machine.Softsgx, "run", $"--trace={file}", "--trace-only=enclu,exit", Machine.BuildNativeTest("transitions"), .. part]).Ended("exit 0");
        Assert.DoesNotContain("not ok", outcome.Text, StringComparison.Ordinal);
        TransitionList.Read(file).AssertWellFormed();
    }

    /// <summary>A program that forbids itself the time stamp counter (PR_SET_TSC) leaves its transitions to the supervisor.</summary>
    [EndToEndFact]
    public void Threads_that_cannot_tell_the_time_have_it_told()
    {
        using TemporaryFolder folder = Machine.NewFolder();
        string file = Path.Combine(folder.Path, "trace.json");
        Outcome outcome = Machine.Run(
            [Machine.Softsgx, "run", $"--trace={file}", "--trace-only=enclu,exit,signal", Machine.BuildNativeTest("transitions"), "no-rdtsc"]).Ended("exit 0");
        Assert.DoesNotContain("not ok", outcome.Text, StringComparison.Ordinal);
        TransitionList list = TransitionList.Read(file);
        list.AssertWellFormed();
        Assert.Equal((20, 20, 0), (list.Entries, list.Exits, list.DirectCount));
    }

    /// <summary>A program waits until its reader has seen all of its transitions.</summary>
    [EndToEndFact]
    public void Transitions_are_shown_while_the_program_does_nothing_more()
    {
        using TemporaryFolder folder = Machine.NewFolder();
        Outcome outcome = Machine.Script(
            $$"""
            mkfifo go
            $RUN --trace --trace-only=enclu {{Machine.BuildNativeTest("transitions")}} live 0<>go 2>&1 | {
                n=0
                while [ $n != 5 ] && read -r line; do
                    case $line in *EEXIT*way=site*) n=$((n + 1)) ;; esac
                done
                echo >go
                cat >/dev/null
                echo seen $n
            }
            """,
            Machine.Softsgx + " run",
            folder: folder.Path);
        outcome.Said("seen 5\n");
    }

    [EndToEndFact]
    public void A_call_that_fails_says_why_and_one_that_has_nothing_to_do_with_SGX_says_nothing()
    {
        Outcome outcome = Machine.Run(
            [Machine.Softsgx, "run", "--trace=json", "--trace-only=call", "sh", "-c", "cat /etc/hostname /dev/null >/dev/null; test -x /dev/sgx_enclave; test -d /dev/sgx_provision"]);
        Assert.All(outcome.ErrorText.TrimEnd('\n').Split('\n'), static line => Assert.Contains("/dev/sgx_", line, StringComparison.Ordinal));
        Assert.Contains("\"error\":\"EACCES\"", outcome.ErrorText, StringComparison.Ordinal);
    }

    [EndToEndTheory]
    [InlineData("--trace=/nonexistent/trace", "softsgx: --trace cannot write '/nonexistent/trace' (no such folder): give text, json, or a file that you may write\n")]
    [InlineData("--trace-only=leaves", "softsgx: --trace-only: 'leaves' is no kind of event: give some of call, encls, enclu, exit, signal, fault, paging, process, separated by commas. Try: softsgx run --help\n")]
    public void The_program_does_not_start_when_the_trace_cannot_be_had(string option, string message)
    {
        Outcome outcome = Machine.Run([Machine.Softsgx, "run", option, "echo", "started"]).Ended("exit 125");
        Assert.Equal(("", message), (outcome.Text, outcome.ErrorText));
    }

    [EndToEndFact]
    public void The_machine_is_explained_alone_or_before_a_program()
    {
        Outcome alone = Machine.Run([Machine.Softsgx, "run", "--explain"]).Ended("exit 0");
        Assert.StartsWith("softsgx: what holds on this machine\n", alone.Text, StringComparison.Ordinal);
        Outcome before = Machine.Run([Machine.Softsgx, "run", "--explain", "echo", "started"]);
        before.Said("started\n");
        Assert.Equal(alone.Text, before.ErrorText);
        using JsonDocument json = JsonDocument.Parse(Machine.Run([Machine.Softsgx, "run", "--explain=json"]).Ended("exit 0").Text);
        Assert.True(json.RootElement.GetProperty("host").GetProperty("canRun").GetBoolean());
        Assert.All(
            json.RootElement.GetProperty("statements").EnumerateArray(),
            static statement => Assert.Contains(statement.GetProperty("verdict").GetString(), (string[])["enforced", "partly", "not enforced"]));
    }

    /// <summary>The lines hold these, in this order, with whatever between them.</summary>
    private static void AssertStory(string[] story, string[] lines)
    {
        int at = 0;
        foreach (string step in story)
        {
            Regex pattern = new($"^[0-9:.]+ [0-9a-z]+ {step}$");
            int found = Array.FindIndex(lines, at, pattern.IsMatch);
            Assert.True(found >= 0, $"after line {at} none is like\n{step}\nin\n{string.Join('\n', lines)}");
            at = found + 1;
        }
    }

    [GeneratedRegex(@"^# (\d+) ECALLs$", RegexOptions.Multiline)]
    private static partial Regex EcallCount();

    [GeneratedRegex(@"^\d\d:\d\d:\d\d\.\d{6} (\d+|pager|ksgxd|softsgx) (ENCL[SU]\[\w+\]\(.*\) = .+|\w+\(.*\) = .+|AEX .+|--- .+ ---|\+\+\+ .+ \+\+\+|(fault|load|evict|lose|interrupt) \{.*)$")]
    private static partial Regex Line();
}
