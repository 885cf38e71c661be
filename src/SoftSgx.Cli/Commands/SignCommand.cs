using System.CommandLine;
using System.CommandLine.Parsing;
using System.Security.Cryptography;
using SoftSgx.Architecture;
using SoftSgx.Cli.Measuring;
using SoftSgx.Cli.Options;
using SoftSgx.Images;
using SoftSgx.Processor;

namespace SoftSgx.Cli.Commands;

/// <summary><c>softsgx sign</c>: makes a SIGSTRUCT for an enclave, with a key at hand or one in a hardware module.</summary>
internal static class SignCommand
{
    internal const string Name = "sign";

    internal const string Details =
        """
        Measures the enclave in a file and signs it. What comes out is the file with the new signature in it where its format has a
        place for one (Intel SDK enclaves, Open Enclave images, a SIGSTRUCT itself), else a SIGSTRUCT of 1,808 bytes; --detached makes
        a SIGSTRUCT of any. Nothing but the signature changes. A file that is signed already keeps what its signature says of product,
        version and attributes unless options say otherwise; else it is a production enclave in 64-bit mode, product 0, version 0.
        The vendor is 0. CONFIGID and CONFIGSVN are in no signature: whoever loads an enclave with KSS chooses them.

        With a key in a file (PEM: PKCS #1, or PKCS #8 plain or encrypted; softsgx keygen makes one):
          softsgx sign enclave.so --key key.pem --svn 3 --out enclave.signed.so

        With a key that never leaves its module, in two steps. The first writes the 256 bytes that have to be signed, the second takes
        the signature (RSA, PKCS #1 v1.5, SHA-256, 384 bytes as openssl and PKCS #11 give them) and fills in all that follows from it:
          softsgx sign enclave.so --svn 3 --digest-out to-sign.bin
          openssl dgst -sha256 -sign key.pem -out signature.bin to-sign.bin
          softsgx sign enclave.so --digest-in to-sign.bin --signature signature.bin --public-key key.pub.pem --out enclave.signed.so

        A file of the Intel SDK may have several metadata blocks, each an enclave with a signature of its own. With --key all are
        signed; in two steps it is one after the other, with --variant, each from what the one before put out.

        No file is replaced without --force.

        Exit status: 0; 1 if a file cannot be read or written, or key and signature do not fit; 2 for wrong options.
        """;

    private static readonly Argument<string> s_file = new("file")
    {
        Description = "An enclave's file, or a SIGSTRUCT to be signed anew.",
        HelpName = "FILE",
    };

    private static readonly Option<string?> s_key = new("--key") { Description = "The private key.", HelpName = "FILE.pem" };

    private static readonly Option<string?> s_passphrase = PassphraseFile.CreateOption("The key's passphrase is the first line of a file.");

    private static readonly Option<string?> s_out = new("--out")
    {
        Description = "Where the signed enclave, or the SIGSTRUCT, goes.",
        HelpName = "FILE",
    };

    private static readonly Option<bool> s_force = new("--force") { Description = "Replace a file that is there already." };

    private static readonly Option<bool> s_detached = new("--detached") { Description = "Write the SIGSTRUCT alone." };

    private static readonly Option<string?> s_digestOut = new("--digest-out")
    {
        Description = "Write what has to be signed, and sign nothing.",
        HelpName = "FILE",
    };

    private static readonly Option<string?> s_digestIn = new("--digest-in")
    {
        Description = "What was signed, as --digest-out wrote it.",
        HelpName = "FILE",
    };

    private static readonly Option<string?> s_signature = new("--signature")
    {
        Description = "A signature that was made elsewhere.",
        HelpName = "FILE",
    };

    private static readonly Option<string?> s_publicKey = new("--public-key") { Description = "Whose signature that is.", HelpName = "FILE.pem" };

    private static readonly Option<ulong> s_limit = LimitOption.Create();

    private static readonly Option<int?> s_variant = VariantOption.Create("Sign this one alone of several metadata blocks, counted from 0.");

    internal static Command Create()
    {
        Command command = new(Name, "Sign an enclave, with a key in a file or in a hardware module.")
        {
            s_file, s_key, s_passphrase, s_out, s_force, s_detached, s_digestOut, s_digestIn, s_signature, s_publicKey, s_limit, s_variant,
        };
        foreach (Option option in SigningOptions.All)
        {
            command.Options.Add(option);
        }

        command.Validators.Add(Validate);
        command.SetAction(static result => FileProblemException.Report(() => Run(result)));
        return command;
    }

    private static void Validate(CommandResult result)
    {
        bool key = result.GetValue(s_key) is not null;
        bool digestOut = result.GetValue(s_digestOut) is not null;
        bool merge = result.GetValue(s_signature) is not null;
        bool output = result.GetValue(s_out) is not null;
        bool digestIn = result.GetValue(s_digestIn) is not null;
        string? problem = (key ? 1 : 0) + (digestOut ? 1 : 0) + (merge ? 1 : 0) != 1
                ? "give one of --key (sign), --digest-out (first of two steps) and --signature (second step)."
            : digestOut && output ? "--digest-out signs nothing, so there is nothing for --out."
            : !digestOut && !output ? "--out says where the signed enclave goes."
            : merge && result.GetValue(s_publicKey) is null ? "--signature needs --public-key."
            : !merge && result.GetValue(s_publicKey) is not null ? "--public-key goes with --signature."
            : !merge && digestIn ? "--digest-in goes with --signature."
            : !key && result.GetValue(s_passphrase) is not null ? "--passphrase-file goes with --key."
            : digestIn && SigningOptions.All.Any(option => result.GetResult(option) is { Implicit: false })
                ? "--digest-in has what stands in the SIGSTRUCT: options that say it anew do not go with it."
            : SigningOptions.Problem(result);
        if (problem is not null)
        {
            result.AddError(problem);
        }
    }

    private static int Run(ParseResult result)
    {
        string path = result.GetValue(s_file)!;
        string target = result.GetValue(s_digestOut) ?? result.GetValue(s_out)!;
        bool force = result.GetValue(s_force);
        bool isInTwoSteps = result.GetValue(s_key) is null;
        NewFile.Refuse(target, force);

        MeasuredFile file = FileProblemException.Guard(
            path, () => MeasuredFile.Open(path).Only(result.GetValue(s_variant)).Measure(result.GetValue(s_limit)));
        IReadOnlyList<MeasuredPart> parts = file.Signed;
        bool inPlace = !result.GetValue(s_detached) && parts.All(static part => part.Signature is not null || part.SignatureOffset > 0);
        if (parts.Count > 1 && (isInTwoSteps || !inPlace))
        {
            throw new FileProblemException(
                path,
                $"it has {parts.Count} metadata blocks, each with a signature of its own: "
                    + $"choose one with --variant (the loader's is {file.Image.ChosenVariant})");
        }

        if (parts.Any(file.IsAmbiguous))
        {
            throw new FileProblemException(
                path,
                $"it does not tell for which loader it is: choose one of the {file.Parts.Count} layouts with --variant (softsgx measure names them)");
        }

        SigStruct[] signatures = [.. parts.Select(part => ToBeSigned(result, path, file.Image, part))];
        if (result.GetValue(s_digestOut) is { } digestPath)
        {
            byte[] signed = SigStructSigner.SignedBytes(in signatures[0]);
            NewFile.Create(digestPath, force, stream => stream.Write(signed));
            Console.Out.WriteLine($"MRENCLAVE  {signatures[0].EnclaveHash}");
            Console.Out.WriteLine($"SHA-256    {Convert.ToHexStringLower(SHA256.HashData(signed))} of the {signed.Length} bytes to be signed");
            return 0;
        }

        Sign(result, signatures);
        PlacedSignature[] placed = [.. signatures.Zip(parts, (sig, part) => new PlacedSignature(inPlace ? part.SignatureOffset : 0, sig))];
        NewFile.Create(
            target,
            force,
            stream => SignedFile.Write(stream, inPlace ? path : null, placed),
            inPlace ? temporary => SignedFile.Check(temporary, placed) : null);
        foreach ((SigStruct sig, MeasuredPart part) in signatures.Zip(parts))
        {
            Console.Out.WriteLine($"MRENCLAVE  {sig.EnclaveHash}{(part.Name is null ? "" : FileProblemException.Printable($" ({part.Name})"))}");
        }

        Console.Out.WriteLine($"MRSIGNER   {EnclaveSignature.MrSigner(in signatures[0])}");
        return 0;
    }

    private static SigStruct ToBeSigned(ParseResult result, string path, EnclaveImage image, MeasuredPart part)
    {
        if (part.Layout is null && part.Signature is null)
        {
            throw new FileProblemException(path, $"{image.Format}: there is no enclave in it to be signed");
        }

        Hash256 mrEnclave = part.Layout is null ? part.Signature!.Value.EnclaveHash : part.Measurement.MrEnclave;
        if (result.GetValue(s_digestIn) is { } digestPath)
        {
            SigStruct given = FileProblemException.Guard(
                digestPath, () => SigStructSigner.FromSignedBytes(SmallFile.Read(digestPath, SigStructSigner.SignedLength)));
            return given.EnclaveHash == mrEnclave
                ? given
                : throw new FileProblemException(
                    digestPath, $"it is of another enclave, of MRENCLAVE {given.EnclaveHash}; {path} measures to {mrEnclave}");
        }

        SigStruct sig = part.Signature is { } old && old.Header.AsReadOnlySpan().SequenceEqual(SigStruct.HeaderConstant)
            ? SigStructSigner.TemplateOf(in old)
            : SigStructSigner.Template();
        sig.EnclaveHash = mrEnclave;
        FileProblemException.Guard(path, () => SigningOptions.Of(result).Apply(ref sig));
        return sig;
    }

    private static void Sign(ParseResult result, SigStruct[] signatures)
    {
        if (result.GetValue(s_key) is { } keyPath)
        {
            string? passphrase = PassphraseFile.Read(result.GetValue(s_passphrase));
            FileProblemException.Guard(keyPath, () =>
            {
                using SigningKey key = SigningKey.ReadPrivate(keyPath, passphrase);
                foreach (ref SigStruct sig in signatures.AsSpan())
                {
                    SigStructSigner.Sign(ref sig, key);
                }
            });
            return;
        }

        string publicPath = result.GetValue(s_publicKey)!;
        string signaturePath = result.GetValue(s_signature)!;
        using SigningKey publicKey = FileProblemException.Guard(publicPath, () => SigningKey.ReadPublic(publicPath));
        FileProblemException.Guard(
            signaturePath, () => SigStructSigner.Merge(ref signatures[0], SmallFile.Read(signaturePath, Bytes384.Size), publicKey));
    }
}
