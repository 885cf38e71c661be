using System.CommandLine;
using System.Text;
using System.Text.Json;
using SoftSgx.Architecture;
using SoftSgx.Cli.Measuring;
using SoftSgx.Cli.Options;
using SoftSgx.Images;
using SoftSgx.Processor;

namespace SoftSgx.Cli.Commands;

/// <summary><c>softsgx verify</c>: is this enclave signed, by whom, and is the signature for it?</summary>
internal static class VerifyCommand
{
    internal const string Name = "verify";

    internal const string Details =
        """
        Checks an enclave's signature as EINIT does, each check on a line: constants and reserved fields of the SIGSTRUCT, the RSA
        signature, its two quotients, and that the enclave in the file measures to what was signed. A signature alone proves that
        somebody signed; give --mrsigner or --mrenclave to say who, or what.

        Examples:
          softsgx verify enclave.signed.so --mrsigner "$(cat expected.mrsigner)"
          softsgx verify sigstruct.sig --mrenclave 3fb6238206b19c8e3b24ded8cacc9dd9428372898e34cd2da4a5166ecfb16f74

        Exit status: 0 if everything holds; 1 if anything does not, or the file cannot be read or has no signature; 2 for wrong options.
        """;

    private static readonly JsonSerializerOptions s_json = new() { WriteIndented = true };

    private static readonly Argument<string> s_file = new("file") { Description = "A signed enclave, or a SIGSTRUCT.", HelpName = "FILE" };

    private static readonly Option<Hash256?> s_mrSigner = FieldOption.Digest("--mrsigner", "Who must have signed it.");

    private static readonly Option<Hash256?> s_mrEnclave = FieldOption.Digest("--mrenclave", "What it must measure to.");

    private static readonly Option<bool> s_jsonOutput = new("--json") { Description = "Print JSON, for scripts." };

    private static readonly Option<ulong> s_limit = LimitOption.Create();

    internal static Command Create()
    {
        Command command = new(Name, "Check an enclave's signature, and that it is for this enclave.") { s_file, s_mrSigner, s_mrEnclave, s_jsonOutput, s_limit };
        command.SetAction(static result => FileProblemException.Report(() => Run(result)));
        return command;
    }

    private static int Run(ParseResult result)
    {
        string path = result.GetValue(s_file)!;
        MeasuredFile file = FileProblemException.Guard(path, () => MeasuredFile.Open(path));
        SigStruct signature = file.Image.Signature ?? throw new FileProblemException(path, $"{file.Image.Format}: it is not signed");
        file = FileProblemException.Guard(path, () => file.Measure(result.GetValue(s_limit)));

        List<SigStructFinding> findings = [.. SigStructCheck.Check(in signature)];
        Hash256? measured = file.Image.Layout is null ? null : file.Measurement.MrEnclave;
        if (measured is { } digest)
        {
            findings.Add(Equal("measurement", digest, signature.EnclaveHash, "what was signed"));
        }

        Hash256 mrSigner = EnclaveSignature.MrSigner(in signature);
        if (result.GetValue(s_mrSigner) is { } wantedSigner)
        {
            findings.Add(Equal("mrsigner", mrSigner, wantedSigner, "what was asked for"));
        }

        if (result.GetValue(s_mrEnclave) is { } wantedEnclave)
        {
            findings.Add(Equal("mrenclave", measured ?? signature.EnclaveHash, wantedEnclave, "what was asked for"));
        }

        bool holds = findings.TrueForAll(static finding => finding.Holds);
        Console.Out.Write(result.GetValue(s_jsonOutput)
            ? Json(path, file.Image, mrSigner, in signature, findings, holds)
            : Text(file.Image, mrSigner, in signature, findings, holds));
        return holds ? 0 : 1;
    }

    private static SigStructFinding Equal(string name, Hash256 found, Hash256 wanted, string what) =>
        new(name, found == wanted, found == wanted ? $"{found}, {what}" : $"{found} instead of {wanted}, {what}");

    private static string Text(EnclaveImage image, Hash256 mrSigner, in SigStruct signature, List<SigStructFinding> findings, bool holds)
    {
        StringBuilder text = new();
        foreach (SigStructFinding finding in findings)
        {
            text.Append(finding.Holds ? "ok  " : "BAD ").Append(finding.Name.PadRight(12)).Append(finding.Detail).Append('\n');
        }

        text.Append($"format    {FileProblemException.Printable(image.Format)}\n");
        text.Append($"MRENCLAVE {signature.EnclaveHash} (signed{(image.Layout is null ? "; the file has no enclave to measure" : "")})\n");
        text.Append($"MRSIGNER  {mrSigner}\n");
        text.Append(holds ? "verified\n" : "NOT verified\n");
        return text.ToString();
    }

    private static string Json(
        string path, EnclaveImage image, Hash256 mrSigner, in SigStruct signature, List<SigStructFinding> findings, bool holds) =>
        JsonSerializer.Serialize(
            new Dictionary<string, object?>
            {
                ["file"] = path,
                ["format"] = image.Format,
                ["verified"] = holds,
                ["mrEnclave"] = signature.EnclaveHash.ToString(),
                ["mrSigner"] = mrSigner.ToString(),
                ["measured"] = image.Layout is not null,
                ["checks"] = findings.Select(static finding => new Dictionary<string, object?>
                {
                    ["name"] = finding.Name,
                    ["ok"] = finding.Holds,
                    ["detail"] = finding.Detail,
                }),
            },
            s_json) + "\n";
}
