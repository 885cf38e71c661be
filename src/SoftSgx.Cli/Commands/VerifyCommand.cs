using System.CommandLine;
using System.Globalization;
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
        somebody signed; give --mrsigner or --mrenclave to say who, or what. Of a file with several metadata blocks (Intel SDK) all must
        hold; --mrenclave is of the one that the current loader takes.

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
        Command command = new(Name, "Check an enclave's signature, and that it is for this enclave.")
        {
            s_file, s_mrSigner, s_mrEnclave, s_jsonOutput, s_limit,
        };
        command.SetAction(static result => FileProblemException.Report(() => Run(result)));
        return command;
    }

    private static int Run(ParseResult result)
    {
        string path = result.GetValue(s_file)!;
        MeasuredFile file = FileProblemException.Guard(path, () => MeasuredFile.Open(path));
        if (file.Parts.All(static part => part.Signature is null))
        {
            throw new FileProblemException(path, $"{file.Image.Format}: it is not signed");
        }

        file = FileProblemException.Guard(path, () => file.Measure(result.GetValue(s_limit)));
        List<Verdict> verdicts = [.. file.Signed.Select(part => Look(part, part == file.Chosen, result))];
        bool holds = verdicts.TrueForAll(static verdict => verdict.Holds);
        Console.Out.Write(result.GetValue(s_jsonOutput) ? Json(path, file, verdicts, holds) : Text(file, verdicts, holds));
        return holds ? 0 : 1;
    }

    private static Verdict Look(MeasuredPart part, bool isChosen, ParseResult result)
    {
        if (part.Signature is not { } signature)
        {
            return new Verdict(part, default, [new SigStructFinding("signature", false, "there is none")]);
        }

        List<SigStructFinding> findings = [.. SigStructCheck.Check(in signature)];
        Hash256? measured = part.Layout is null ? null : part.Measurement.MrEnclave;
        if (measured is { } digest)
        {
            findings.Add(Equal("measurement", digest, signature.EnclaveHash, "what was signed"));
        }

        Hash256 mrSigner = EnclaveSignature.MrSigner(in signature);
        if (result.GetValue(s_mrSigner) is { } wantedSigner)
        {
            findings.Add(Equal("mrsigner", mrSigner, wantedSigner, "what was asked for"));
        }

        if (isChosen && result.GetValue(s_mrEnclave) is { } wantedEnclave)
        {
            findings.Add(Equal("mrenclave", measured ?? signature.EnclaveHash, wantedEnclave, "what was asked for"));
        }

        return new Verdict(part, mrSigner, findings);
    }

    private static SigStructFinding Equal(string name, Hash256 found, Hash256 wanted, string what) =>
        new(name, found == wanted, found == wanted ? $"{found}, {what}" : $"{found} instead of {wanted}, {what}");

    private static string Text(MeasuredFile file, List<Verdict> verdicts, bool holds)
    {
        StringBuilder text = new();
        text.Append(CultureInfo.InvariantCulture, $"format    {FileProblemException.Printable(file.Image.Format)}\n");
        foreach (Verdict verdict in verdicts)
        {
            if (file.Parts.Count > 1)
            {
                string which = verdict.Part == file.Chosen ? ": what the current loader takes" : "";
                text.Append(CultureInfo.InvariantCulture, $"\n{FileProblemException.Printable(verdict.Part.Name!)}{which}\n");
            }

            foreach (SigStructFinding finding in verdict.Findings)
            {
                text.Append(finding.Holds ? "ok  " : "BAD ").Append(finding.Name.PadRight(12)).Append(finding.Detail).Append('\n');
            }

            if (verdict.Part.Signature is { } signature)
            {
                string unmeasured = verdict.Part.Layout is null ? ", as it says: there is no enclave here to measure" : "";
                text.Append(CultureInfo.InvariantCulture, $"MRENCLAVE {signature.EnclaveHash}{unmeasured}\n");
                text.Append(CultureInfo.InvariantCulture, $"MRSIGNER  {verdict.MrSigner}\n");
            }
        }

        return text.Append(holds ? "verified\n" : "NOT verified\n").ToString();
    }

    private static string Json(string path, MeasuredFile file, List<Verdict> verdicts, bool holds)
    {
        Dictionary<string, object?> document = new() { ["file"] = path, ["format"] = file.Image.Format, ["verified"] = holds };
        foreach ((string key, object? value) in Fields(verdicts.Single(verdict => verdict.Part == file.Chosen)))
        {
            document.Add(key, value);
        }

        if (verdicts.Count > 1)
        {
            document["variants"] = verdicts.Select(static verdict => new Dictionary<string, object?>(
                [new("name", verdict.Part.Name), new("verified", verdict.Holds), .. Fields(verdict)]));
        }

        return JsonSerializer.Serialize(document, s_json) + "\n";
    }

    private static IEnumerable<KeyValuePair<string, object?>> Fields(Verdict verdict) =>
    [
        new("mrEnclave", verdict.Part.Signature?.EnclaveHash.ToString()),
        new("mrSigner", verdict.Part.Signature is null ? null : verdict.MrSigner.ToString()),
        new("measured", verdict.Part.Layout is not null),
        new("checks", verdict.Findings.Select(static finding => new Dictionary<string, object?>
        {
            ["name"] = finding.Name,
            ["ok"] = finding.Holds,
            ["detail"] = finding.Detail,
        })),
    ];

    /// <summary>What was found of one way in which the file can be built.</summary>
    private sealed record Verdict(MeasuredPart Part, Hash256 MrSigner, IReadOnlyList<SigStructFinding> Findings)
    {
        internal bool Holds => Findings.All(static finding => finding.Holds);
    }
}
