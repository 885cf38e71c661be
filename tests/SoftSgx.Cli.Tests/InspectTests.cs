using System.Buffers.Binary;
using System.CommandLine;
using System.Text;
using System.Text.Json;
using SoftSgx.Cli.Commands;
using SoftSgx.Cli.Images;
using SoftSgx.Images;

namespace SoftSgx.Cli.Tests;

/// <summary><c>softsgx inspect</c>: its options, what it prints, its exit statuses.</summary>
public sealed class InspectTests : IDisposable
{
    private static readonly DateOnly s_today = new(2026, 1, 1);

    private readonly string _folder = Directory.CreateTempSubdirectory("softsgx-inspect-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("inspect file")]
    [InlineData("inspect file --json")]
    [InlineData("inspect file --as report --variant 1")]
    public void Options_are_taken(string line) => Assert.Empty(Parse(line).Errors);

    [Theory]
    [InlineData("inspect")]
    [InlineData("inspect file other")]
    [InlineData("inspect file --as nothing")]
    public void Others_are_not(string line) => Assert.NotEmpty(Parse(line).Errors);

    [Fact]
    public void Each_kind_is_explained() =>
        Assert.All(ImageFormat.All, static format => Assert.Matches($@"(?m)^  {format.Name} +\w", InspectCommand.Details));

    [Fact]
    public void The_status_is_0_for_a_file_that_is_known_and_1_for_others()
    {
        Assert.Equal(1, Parse($"inspect {Path.Combine(_folder, "missing")}").Invoke());
        Assert.Equal(1, Parse($"inspect {_folder}").Invoke());
        Assert.Equal(1, Parse($"inspect {Write("text", "nothing"u8)}").Invoke());
        Assert.Equal(1, Parse($"inspect {Write("cut", Stream().AsSpan()[..^1])}").Invoke());
        Assert.Equal(1, Parse($"inspect {Write("good", Stream())} --variant 1").Invoke());
        Assert.Equal(0, Parse($"inspect {Write("good", Stream())} --json").Invoke());
    }

    [Fact]
    public void Text_has_a_line_for_each_run_and_sums_them_up()
    {
        string path = Write("enclave.sgxs", Stream());
        using StringWriter text = new() { NewLine = "\n" };
        InspectText.Write(InspectedImage.Of(path, ImageReader.Read(path), null), s_today, text);
        string[] lines = text.ToString().Split('\n');
        Assert.Equal($"{path}: SGXS stream", lines[0]);
        Assert.Contains("  0x0                     1  TCS   -     no        TCS 0", lines);
        Assert.Contains("  0x1000                  2  REG   RWX   1 of 16   pages 1", lines);
        Assert.Contains("  threads (TCS)        1", lines);
        Assert.Contains(lines, static line => line.StartsWith("  writable-executable ", StringComparison.Ordinal));
    }

    [Fact]
    public void Json_says_the_same()
    {
        string path = Write("enclave.sgxs", Stream());
        using MemoryStream output = new();
        InspectJson.Write(InspectedImage.Of(path, ImageReader.Read(path), null), s_today, output);
        using JsonDocument document = JsonDocument.Parse(output.ToArray());
        JsonElement root = document.RootElement;
        Assert.Equal("sgxs", root.GetProperty("kind").GetString());
        JsonElement layout = root.GetProperty("layout");
        Assert.Equal("0x4000", layout.GetProperty("size").GetString());
        Assert.Equal(3, layout.GetProperty("pages").GetInt32());
        JsonElement run = layout.GetProperty("runs")[1];
        Assert.Equal(
            ("0x1000", "PT_REG", "RWX", "0x1"),
            (Text(run, "offset"), Text(run, "type"), Text(run, "permissions"), Text(run, "measuredChunks")));
        Assert.Equal(
            ["writable-executable", "unmeasured-executable"],
            root.GetProperty("warnings").EnumerateArray().Select(static warning => Text(warning, "code")));
    }

    // A TCS page that is not measured, and two pages of which the first chunk is.
    private static byte[] Stream()
    {
        using MemoryStream stream = new();
        Record(stream, "ECREATE\0", 1UL | (0x4000UL << 32), 0);
        Record(stream, "EADD\0\0\0\0", 0, 0x100);
        foreach (ulong offset in new ulong[] { 0x1000, 0x2000 })
        {
            Record(stream, "EADD\0\0\0\0", offset, 0x207);
            Record(stream, "EEXTEND\0", offset, 0);
            stream.Write(new byte[256]);
        }

        return stream.ToArray();
    }

    private static void Record(MemoryStream stream, string tag, ulong first, ulong second)
    {
        Span<byte> record = stackalloc byte[64];
        record.Clear();
        Encoding.ASCII.GetBytes(tag, record);
        BinaryPrimitives.WriteUInt64LittleEndian(record[8..], first);
        BinaryPrimitives.WriteUInt64LittleEndian(record[16..], second);
        stream.Write(record);
    }

    private string Write(string name, ReadOnlySpan<byte> bytes)
    {
        string path = Path.Combine(_folder, name);
        File.WriteAllBytes(path, bytes);
        return path;
    }

    private static string? Text(JsonElement element, string name) => element.GetProperty(name).GetString();

    private static ParseResult Parse(string line) => new RootCommand { InspectCommand.Create() }.Parse(line.Split(' '));
}
