using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;
using SoftSgx.Cli.Measuring;
using SoftSgx.Cli.Options;
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
        it says whether that is for this measurement.

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

    /// <summary>EPIPE, which .NET keeps as it is.</summary>
    private const int BrokenPipe = 32;

    private static readonly JsonSerializerOptions s_json = new() { WriteIndented = true };

    private static readonly Argument<string> s_file = new("file") { Description = "An enclave's file.", HelpName = "FILE" };

    private static readonly Option<bool> s_trace = new("--trace") { Description = "Print every measured operation, one a line." };

    private static readonly Option<bool> s_summary = new("--summary")
    {
        Description = "With --trace: one line for pages that are added alike.",
    };

    private static readonly Option<bool> s_jsonOutput = new("--json") { Description = "Print JSON, for scripts; with --trace an object a line." };

    private static readonly Option<ulong> s_limit = LimitOption.Create();

    internal static Command Create()
    {
        Command command = new(Name, "Work out MRENCLAVE of an enclave's file.") { s_file, s_trace, s_summary, s_jsonOutput, s_limit };
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
        bool trace = result.GetValue(s_trace);
        bool summary = result.GetValue(s_summary);
        MeasuredFile file = FileProblemException.Guard(path, () => MeasuredFile.Open(path));
        EnclaveLayout layout = file.Image.Layout ?? throw new FileProblemException(path, $"{file.Image.Format}: it describes no enclave that could be measured");

        if (trace)
        {
            try
            {
                using Stream output = new BufferedStream(new FileStream(new SafeFileHandle(1, ownsHandle: false), FileAccess.Write, bufferSize: 0), 1 << 16);
                if (summary)
                {
                    FileProblemException.Guard(path, () => RunSummary.Write(output, layout));
                }

                file = FileProblemException.Guard(path, () => file.Measure(result.GetValue(s_limit), summary ? null : new OperationTrace(output, json)));
            }
            catch (Exception e) when ((e.InnerException ?? e) is IOException { HResult: BrokenPipe })
            {
                // Whoever read the lines has seen enough of them.
                return 1;
            }
        }
        else
        {
            file = FileProblemException.Guard(path, () => file.Measure(result.GetValue(s_limit)));
        }

        Console.Out.Write(json ? Json(path, file, indented: !trace) : trace ? $"MRENCLAVE {file.Measurement.MrEnclave}\n" : Text(file));
        return 0;
    }

    private static string Text(MeasuredFile file)
    {
        EnclaveMeasurement measured = file.Measurement;
        string text = string.Create(
            CultureInfo.InvariantCulture,
            $"""
            format     {FileProblemException.Printable(file.Image.Format)}
            MRENCLAVE  {measured.MrEnclave}
            measured   {measured.Pages:N0} pages added, {measured.Chunks:N0} chunks of 256 bytes measured

            """);
        return text + (file.Image.Signature is not { } signature ? "signature  none\n"
            : signature.EnclaveHash == measured.MrEnclave ? "signature  is for this measurement\n"
            : $"signature  is for another enclave: ENCLAVEHASH {signature.EnclaveHash}\n");
    }

    private static string Json(string path, MeasuredFile file, bool indented)
    {
        Dictionary<string, object?> document = new()
        {
            ["file"] = path,
            ["format"] = file.Image.Format,
            ["mrEnclave"] = file.Measurement.MrEnclave.ToString(),
            ["size"] = file.Image.Layout!.Size,
            ["ssaFrameSize"] = file.Image.Layout.SsaFrameSize,
            ["pages"] = file.Measurement.Pages,
            ["measuredChunks"] = file.Measurement.Chunks,
            ["enclaveHash"] = file.Image.Signature?.EnclaveHash.ToString(),
            ["signatureFits"] = file.Image.Signature is { } signature ? signature.EnclaveHash == file.Measurement.MrEnclave : null,
        };
        return JsonSerializer.Serialize(document, indented ? s_json : null) + "\n";
    }
}
