using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json;
using SoftSgx.Architecture;
using SoftSgx.Cli.Measuring;
using SoftSgx.Cli.Options;
using SoftSgx.Images;

namespace SoftSgx.Cli.Commands;

/// <summary><c>softsgx diff</c>: why two enclaves do not have the same measurement.</summary>
internal static class DiffCommand
{
    internal const string Name = "diff";

    internal const string Details =
        """
        Measures two enclaves and says where they differ: the first operation that is not the same in both, down to the byte, then how
        much differs by region, and which fields of their signatures do. For builds that ought to be reproducible. The files may be of
        different formats; of a file without an enclave (a SIGSTRUCT) the measurement that was signed counts.

        Contents that neither enclave measures are told of, but make no other enclave.

        Examples:
          softsgx diff ours.signed.so theirs.signed.so
          softsgx diff --json a.so b.so | jq .first

        Exit status, as of diff: 0 if both have the same measurement, 1 if not, 2 if a file cannot be read or options are wrong.
        """;

    private const int Same = 0;
    private const int Different = 1;
    private const int Trouble = 2;

    private static readonly JsonSerializerOptions s_json = new() { WriteIndented = true, PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    private static readonly Argument<string> s_first = new("a") { Description = "An enclave's file.", HelpName = "A" };

    private static readonly Argument<string> s_second = new("b") { Description = "Another.", HelpName = "B" };

    private static readonly Option<bool> s_jsonOutput = new("--json") { Description = "Print JSON, for scripts." };

    private static readonly Option<ulong> s_limit = LimitOption.Create();

    private static readonly Option<int?> s_variant = VariantOption.Create("Compare these two of several metadata blocks, counted from 0.");

    internal static Command Create()
    {
        Command command = new(Name, "Say which page and byte first differs between two enclaves, and how much.")
        {
            s_first, s_second, s_jsonOutput, s_limit, s_variant,
        };
        command.SetAction(static result => FileProblemException.Report(() => Run(result), Trouble));
        return command;
    }

    private static int Run(ParseResult result)
    {
        ulong limit = result.GetValue(s_limit);
        Side a = Side.Read(result.GetValue(s_first)!, result.GetValue(s_variant), limit);
        Side b = Side.Read(result.GetValue(s_second)!, result.GetValue(s_variant), limit);
        EnclaveComparison? comparison = a.Layout is { } first && b.Layout is { } second
            ? FileProblemException.Guard($"{a.Path} or {b.Path}", () => EnclaveComparer.Compare(first, second))
            : null;
        IReadOnlyList<FieldDifference> fields = a.Signature is { } one && b.Signature is { } other
            ? SigStructComparer.Compare(one, other)
            : [];
        bool isSame = a.MrEnclave == b.MrEnclave;
        Console.Out.Write(result.GetValue(s_jsonOutput) ? Json(a, b, isSame, comparison, fields) : Text(a, b, isSame, comparison, fields));
        return isSame ? Same : Different;
    }

    private static string Text(Side a, Side b, bool isSame, EnclaveComparison? comparison, IReadOnlyList<FieldDifference> fields)
    {
        StringBuilder text = new();
        Line(text, $"A  MRENCLAVE {a.MrEnclave}  {a.Path}");
        Line(text, $"B  MRENCLAVE {b.MrEnclave}  {b.Path}");
        Line(text, $"{(isSame ? "the same measurement" : "different measurements")}");
        if (comparison?.First is { } first)
        {
            Line(text, $"\nfirst difference: operation {first.Operation:N0}, {first.Operation - 1:N0} before it are the same");
            Line(text, $"  A  {first.InFirst}");
            Line(text, $"  B  {first.InSecond}");
            if (first.Byte is { } differing)
            {
                Line(text, $"  byte at offset 0x{differing.Offset:x} of the enclave: A 0x{differing.InFirst:x2}, B 0x{differing.InSecond:x2}");
            }
        }

        if (comparison is { Regions.Count: > 0 })
        {
            Line(text, $"\ndifferences by region");
            foreach (RegionDifference region in comparison.Regions)
            {
                Line(text, $"  0x{region.Start:x} to 0x{region.End:x}  {region.Name}: {string.Join(", ", Counts(region))}");
            }
        }
        else if (comparison is { RegionsAreKnown: false })
        {
            Line(text, $"\nthere are too many pages of their own to sum differences up by region");
        }

        if (fields.Count > 0)
        {
            Line(text, $"\ndifferences of the signatures");
            foreach (FieldDifference field in fields)
            {
                Line(text, $"  {field.Name}\n    A  {field.InFirst}\n    B  {field.InSecond}");
            }
        }

        return text.ToString();
    }

    private static IEnumerable<string> Counts(RegionDifference region)
    {
        (ulong Count, string What)[] counts =
        [
            (region.OnlyInFirst, "only in A"),
            (region.OnlyInSecond, "only in B"),
            (region.Flags, "of another type or with other permissions"),
            (region.Measured, "not measured alike"),
            (region.Contents, string.Create(CultureInfo.InvariantCulture, $"with other contents ({region.Bytes:N0} bytes)")),
            (region.UnmeasuredContents, "with other contents that are not measured"),
        ];
        return counts
            .Where(static count => count.Count > 0)
            .Select(static count =>
                string.Create(CultureInfo.InvariantCulture, $"{count.Count:N0} {(count.Count == 1 ? "page" : "pages")} {count.What}"));
    }

    private static string Json(Side a, Side b, bool isSame, EnclaveComparison? comparison, IReadOnlyList<FieldDifference> fields) =>
        JsonSerializer.Serialize(
            new Dictionary<string, object?>
            {
                ["same"] = isSame,
                ["a"] = new Dictionary<string, object?> { ["file"] = a.Path, ["format"] = a.Format, ["mrEnclave"] = a.MrEnclave.ToString() },
                ["b"] = new Dictionary<string, object?> { ["file"] = b.Path, ["format"] = b.Format, ["mrEnclave"] = b.MrEnclave.ToString() },
                ["first"] = comparison?.First,
                ["regions"] = comparison?.RegionsAreKnown == false ? null : comparison?.Regions,
                ["signatureFields"] = fields,
            },
            s_json) + "\n";

    private static void Line(StringBuilder text, FormattableString line) =>
        text.Append(FileProblemException.Printable(line.ToString(CultureInfo.InvariantCulture), keepLines: true)).Append('\n');

    /// <summary>One of the two files, and the measurement that it stands for.</summary>
    private sealed record Side(string Path, MeasuredFile File, Hash256 MrEnclave)
    {
        internal EnclaveLayout? Layout => File.Chosen.Layout;

        internal SigStruct? Signature => File.Chosen.Signature;

        internal string Format => File.Image.Format;

        internal static Side Read(string path, int? variant, ulong limit)
        {
            MeasuredFile file = FileProblemException.Guard(path, () => MeasuredFile.Open(path).Only(variant).Measure(limit));
            return new Side(path, file, file.Chosen switch
            {
                { Layout: not null } => file.Chosen.Measurement.MrEnclave,
                { Signature: { } signature } => signature.EnclaveHash,
                _ => throw new FileProblemException(path, $"{file.Image.Format}: there is no enclave in it, and no measurement that was signed"),
            });
        }
    }
}
