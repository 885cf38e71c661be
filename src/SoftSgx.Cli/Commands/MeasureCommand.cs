using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Text;
using System.Text.Json;
using SoftSgx.Cli.Measuring;
using SoftSgx.Cli.Options;
using SoftSgx.Host;
using SoftSgx.Images;

namespace SoftSgx.Cli.Commands;

/// <summary><c>softsgx measure</c>: MRENCLAVE of an enclave's file.</summary>
internal static class MeasureCommand
{
    internal const string Name = "measure";

    internal const string Details =
        """
        Builds the enclave that a file describes by the same ECREATE, EADD and EEXTEND that build a running one, and tells what they
        measure. It needs no SGX, no root, and no more memory for a large enclave than for a small one. If the file has a signature,
        it says whether that is for this measurement. A file of the Intel SDK may have several metadata blocks, each an enclave of its
        own; all are measured, and the first lines of JSON are of the one that the current loader takes, as is a trace.

        With --trace every operation that is measured is a line, in order:
          ECREATE size 0x0000000000200000 ssaframesize 1
          EADD    0x0000000000001000 reg r-x                     offset in the enclave, page type, permissions
          EEXTEND 0x0000000000001000 2ac1f1…                     offset, SHA-256 of the 256 bytes
        Nothing else stands in them, so that those of two builds can be compared (or let softsgx diff do it). Of a TCS the lines tell
        what EADD makes of it: no permissions. --summary makes one line of pages that are added alike.

        Examples:
          softsgx measure enclave.signed.so
          softsgx measure --json enclave.signed.so | jq -r .mrEnclave
          softsgx measure --trace enclave.signed.so > operations.txt

        Exit status: 0; 1 if the file cannot be read, is damaged, or describes no enclave that can be built; 2 for wrong options.
        """;

    private const int OutputBuffer = 1 << 16;

    private static readonly JsonSerializerOptions s_json = new() { WriteIndented = true };

    private static readonly Argument<string> s_file = new("file") { Description = "An enclave's file.", HelpName = "FILE" };

    private static readonly Option<bool> s_trace = new("--trace") { Description = "Print every measured operation, one a line." };

    private static readonly Option<bool> s_summary = new("--summary")
    {
        Description = "With --trace: one line for pages that are added alike.",
    };

    private static readonly Option<bool> s_jsonOutput = new("--json") { Description = "Print JSON, for scripts; with --trace an object a line." };

    private static readonly Option<ulong> s_limit = LimitOption.Create();

    private static readonly Option<int?> s_variant = VariantOption.Create("Measure this one alone of several metadata blocks, counted from 0.");

    internal static Command Create()
    {
        Command command = new(Name, "Work out MRENCLAVE of an enclave's file.") { s_file, s_trace, s_summary, s_jsonOutput, s_limit, s_variant };
        command.Validators.Add(Validate);
        command.SetAction(static result => FileProblemException.Report(() => Run(result)));
        return command;
    }

    private static void Validate(CommandResult result)
    {
        if (result.GetValue(s_summary) && !result.GetValue(s_trace))
        {
            result.AddError("--summary needs --trace.");
        }
        else if (result.GetValue(s_summary) && result.GetValue(s_jsonOutput))
        {
            result.AddError("--summary and --json do not go together.");
        }
    }

    private static int Run(ParseResult result)
    {
        string path = result.GetValue(s_file)!;
        bool json = result.GetValue(s_jsonOutput);
        ulong limit = result.GetValue(s_limit);
        MeasuredFile file = FileProblemException.Guard(path, () => MeasuredFile.Open(path).Only(result.GetValue(s_variant)));
        EnclaveLayout layout = file.Chosen.Layout
            ?? throw new FileProblemException(path, $"{file.Image.Format}: it describes no enclave that could be measured");
        if (result.GetValue(s_trace))
        {
            return Trace(path, layout, limit, result.GetValue(s_summary), json);
        }

        file = FileProblemException.Guard(path, () => file.Measure(limit));
        Console.Out.Write(json ? Json(path, file) : Text(file));
        return 0;
    }

    private static int Trace(string path, EnclaveLayout layout, ulong limit, bool summary, bool json)
    {
        using ProgressLine progress = new();
        using Stream output = new BufferedStream(new StandardOutputStream(), OutputBuffer);
        if (summary)
        {
            FileProblemException.Guard(path, () => RunSummary.Write(output, layout));
        }

        IMeasurementTrace? trace = summary ? null : new OperationTrace(output, json);
        MeasureOptions options = new() { Limit = limit, Trace = trace, Progress = progress.Report };
        EnclaveMeasurement measured = FileProblemException.Guard(path, () => EnclaveMeasurer.Measure(layout, options));
        string digest = measured.MrEnclave.ToString();
        output.Write(Encoding.ASCII.GetBytes(json ? $"{{\"op\":\"MRENCLAVE\",\"mrEnclave\":\"{digest}\"}}\n" : $"MRENCLAVE {digest}\n"));
        return 0;
    }

    private static string Text(MeasuredFile file)
    {
        StringBuilder text = new();
        text.Append(CultureInfo.InvariantCulture, $"format     {FileProblemException.Printable(file.Image.Format)}\n");
        foreach (MeasuredPart part in file.Parts)
        {
            if (file.Parts.Count > 1)
            {
                string which = part == file.Chosen ? ": what the other commands go by" : "";
                text.Append(CultureInfo.InvariantCulture, $"\n{FileProblemException.Printable(part.Name!)}{which}\n");
            }

            Append(text, part);
        }

        return text.ToString();
    }

    private static void Append(StringBuilder text, MeasuredPart part)
    {
        if (part.Layout is null)
        {
            text.Append("MRENCLAVE  unknown: it describes no enclave\n");
            return;
        }

        EnclaveMeasurement measured = part.Measurement;
        text.Append(CultureInfo.InvariantCulture, $"MRENCLAVE  {measured.MrEnclave}\n");
        text.Append(CultureInfo.InvariantCulture, $"measured   {measured.Pages:N0} pages added, {measured.Chunks:N0} chunks of 256 bytes measured\n");
        text.Append(part.Signature is not { } signature ? "signature  none\n"
            : signature.EnclaveHash == measured.MrEnclave ? "signature  is for this measurement\n"
            : $"signature  is for another enclave: ENCLAVEHASH {signature.EnclaveHash}\n");
    }

    private static string Json(string path, MeasuredFile file)
    {
        Dictionary<string, object?> document = new() { ["file"] = path, ["format"] = file.Image.Format };
        foreach ((string key, object? value) in Fields(file.Chosen))
        {
            document.Add(key, value);
        }

        if (file.Parts.Count > 1)
        {
            document["variants"] = file.Parts.Select(static part => new Dictionary<string, object?>([new("name", part.Name), .. Fields(part)]));
        }

        return JsonSerializer.Serialize(document, s_json) + "\n";
    }

    private static IEnumerable<KeyValuePair<string, object?>> Fields(MeasuredPart part) =>
    [
        new("mrEnclave", part.Layout is null ? null : part.Measurement.MrEnclave.ToString()),
        new("size", part.Layout?.Size),
        new("ssaFrameSize", part.Layout?.SsaFrameSize),
        new("pages", part.Measurement.Pages),
        new("measuredChunks", part.Measurement.Chunks),
        new("enclaveHash", part.Signature?.EnclaveHash.ToString()),
        new("signatureFits", part.Signature is { } signature && part.Layout is not null ? signature.EnclaveHash == part.Measurement.MrEnclave : null),
    ];
}
