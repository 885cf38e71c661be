using System.Buffers;
using System.Text;
using System.Text.Json;
using SoftSgx.Cli.Options;
using SoftSgx.Cli.Tracing;
using SoftSgx.Host;
using SoftSgx.Kernel.Tracing;
using SoftSgx.Tests;

namespace SoftSgx.Cli.Tests.Tracing;

/// <summary>What lines of a trace look like, as text and as JSON, and where they go.</summary>
public sealed class TraceFormatTests
{
    private static readonly DateTime s_time = new DateTime(2030, 1, 2, 3, 4, 5, DateTimeKind.Utc).AddTicks(1_234_560);

    private static TraceEvent AddPages => new TraceEvent(TraceKinds.Call, "ioctl") { Part = TracePart.Operand }
        .Add("fd", 3).Add("command", "SGX_IOC_ENCLAVE_ADD_PAGES");

    [Fact]
    public void A_call_reads_like_one_of_strace()
    {
        TraceEvent e = AddPages;
        e.Part = TracePart.Member;
        e.Add("src", 0x7f0000001000, null).Add("secInfo", "REG rw-").Return(0).Add("count", 0x1000UL);
        Assert.Equal("ioctl(3, SGX_IOC_ENCLAVE_ADD_PAGES, {src=0x7f0000001000, secInfo=REG rw-}) = 0 {count=0x1000}", Text(e));
        Assert.Equal(
            """{"time":"2030-01-02T03:04:05.123456Z","thread":"77","kind":"call","name":"ioctl","args":{"fd":3,"command":"SGX_IOC_ENCLAVE_ADD_PAGES","src":"0x7f0000001000","secInfo":"REG rw-"},"result":0,"out":{"count":"0x1000"}}""",
            Json(e));
    }

    [Fact]
    public void A_failure_has_a_name_and_a_call_that_did_not_end_a_question_mark()
    {
        Assert.Equal("ioctl(3, SGX_IOC_ENCLAVE_ADD_PAGES) = -1 EINVAL", Text(AddPages.Return(-1, "EINVAL")));
        Assert.Equal("ioctl(3, SGX_IOC_ENCLAVE_ADD_PAGES) = ?", Text(AddPages));
        Assert.EndsWith(""","result":-1,"error":"EINVAL","out":{}}""", Json(AddPages.Return(-1, "EINVAL")), StringComparison.Ordinal);
    }

    [Fact]
    public void Every_kind_has_its_form()
    {
        Assert.Equal("ENCLS[EWB](epcPage=5) = 11 SGX_NOT_TRACKED", Text(Event(TraceKinds.Encls, "EWB").Return(11, "SGX_NOT_TRACKED")));
        Assert.Equal("ENCLU[EENTER](epcPage=5) = 0 {cssa=1}", Text(Event(TraceKinds.Enclu, "EENTER").Return(0).Add("cssa", 1)));
        Assert.Equal("AEX #PF {epcPage=5}", Text(Event(TraceKinds.Exit, "#PF")));
        Assert.Equal("--- SIGSEGV {epcPage=5} ---", Text(Event(TraceKinds.Signal, "SIGSEGV")));
        Assert.Equal("+++ exited {epcPage=5} +++", Text(Event(TraceKinds.Process, "exited")));
        Assert.Equal("evict {epcPage=5}", Text(Event(TraceKinds.Paging, "evict")));
        TraceEvent fault = Event(TraceKinds.Fault, "fault");
        fault.Part = TracePart.Result;
        Assert.Equal("fault {epcPage=5} = Present", Text(fault.Add("outcome", "Present")));
    }

    [Fact]
    public void An_address_in_an_enclave_has_its_offset()
    {
        TraceEvent e = new TraceEvent(TraceKinds.Call, "mmap") { Part = TracePart.Operand, ReturnsAddress = true }
            .Add("address", 0x7f0000003010, 0x7f0000000000, 0x10000).Add("path", "a\"b\\\n\u0001", TraceFormat.Quoted).Return(0x7f0000003000);
        Assert.Equal("mmap(0x7f0000003010(+0x3010), \"a\\\"b\\\\\\n\\u0001\") = 0x7f0000003000", Text(e));
        using JsonDocument json = JsonDocument.Parse(Json(e));
        Assert.Equal("0x3010", json.RootElement.GetProperty("args").GetProperty("addressOffset").GetString());
        Assert.Equal("a\"b\\\n\u0001", json.RootElement.GetProperty("args").GetProperty("path").GetString());
        Assert.Equal("0x7f0000003000", json.RootElement.GetProperty("result").GetString());
    }

    [Fact]
    public void Kinds_have_names_that_are_explained()
    {
        Assert.Null(TraceOption.Parse("call,enclu", out TraceKinds kinds));
        Assert.Equal(TraceKinds.Call | TraceKinds.Enclu, kinds);
        string problem = TraceOption.Parse("call,leaves", out _)!;
        Assert.StartsWith("'leaves' is no kind of event: give some of call, encls,", problem, StringComparison.Ordinal);
        TraceKinds all = TraceKinds.None;
        foreach ((string name, TraceKinds kind) in TraceOption.Kinds)
        {
            TraceDocument.AssertName(name);
            Assert.Equal(name, TraceOption.NameOf(kind));
            all |= kind;
        }
        Assert.Equal(TraceKinds.All, all);
    }

    [Theory]
    [InlineData("trace.json", true)]
    [InlineData("trace.txt", false)]
    [InlineData("trace", false)]
    public void A_file_gets_JSON_if_its_name_says_so_and_all_lines_whole(string name, bool isJson)
    {
        string folder = Directory.CreateTempSubdirectory().FullName;
        try
        {
            string file = Path.Combine(folder, name);
            using (TraceTarget target = TraceTarget.Open(file, TraceKinds.All))
            {
                Parallel.For(0, 4, thread =>
                {
                    TraceActor.Tid = 1000 + thread;
                    for (int i = 0; i < 1000; i++)
                    {
                        target.Write(Event(TraceKinds.Paging, "evict"));
                    }
                    TraceActor.Tid = 0;
                });
            }
            string[] lines = File.ReadAllLines(file);
            Assert.Equal(4000, lines.Length);
            Assert.All(lines, line => Assert.EndsWith(isJson ? "\"out\":{}}" : " evict {epcPage=5}", line, StringComparison.Ordinal));
            Assert.All(lines, line => Assert.Equal(isJson, line.StartsWith("{\"time\":\"", StringComparison.Ordinal)));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public void A_file_is_complete_after_a_flush_and_grows_by_itself()
    {
        string file = Path.GetTempFileName();
        try
        {
            using TraceTarget target = TraceTarget.Open(file, TraceKinds.All);
            target.Write(Event(TraceKinds.Paging, "evict"));
            target.Flush();
            Assert.Single(File.ReadAllLines(file));
            target.Write(Event(TraceKinds.Paging, "load"));
            Assert.True(SpinWait.SpinUntil(() => File.ReadAllLines(file).Length == 2, TimeSpan.FromSeconds(60)));
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public void A_file_that_cannot_be_written_says_what_to_give()
    {
        HostException e = Assert.Throws<HostException>(static () => TraceTarget.Open("/nonexistent/trace.json", TraceKinds.All));
        Assert.Equal("--trace cannot write '/nonexistent/trace.json' (no such folder): give text, json, or a file that you may write", e.Message);
    }

    private static TraceEvent Event(TraceKinds kind, string name) => new TraceEvent(kind, name).Add("epcPage", 5);

    private static string Text(TraceEvent e)
    {
        string line = Line(new TextTrace(), e);
        string prefix = $"{s_time.ToLocalTime():HH:mm:ss}.123456 77 ";
        Assert.StartsWith(prefix, line, StringComparison.Ordinal);
        return line[prefix.Length..];
    }

    private static string Json(TraceEvent e) => Line(new JsonTrace(), e);

    private static string Line(ITraceFormat format, TraceEvent e)
    {
        ArrayBufferWriter<byte> target = new();
        format.Write(target, e, s_time, "77");
        string line = Encoding.UTF8.GetString(target.WrittenSpan);
        Assert.Equal(line.Length - 1, line.IndexOf('\n', StringComparison.Ordinal));
        return line[..^1];
    }
}
