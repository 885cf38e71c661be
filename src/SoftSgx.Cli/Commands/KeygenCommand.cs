using System.CommandLine;
using SoftSgx.Cli.Options;
using SoftSgx.Images;

namespace SoftSgx.Cli.Commands;

/// <summary><c>softsgx keygen</c>: a new key for signing enclaves.</summary>
internal static class KeygenCommand
{
    internal const string Name = "keygen";

    internal const string Details =
        """
        Makes an RSA key of 3,072 bits with public exponent 3, the only kind that SGX takes, and prints the MRSIGNER of what it signs.
        The file is PKCS #8 in PEM, readable by its owner alone; with --passphrase-file it is encrypted (AES-256, PBKDF2). Whoever
        has it can make enclaves that read what yours have sealed: for releases keep the key in a hardware module instead (see
        softsgx sign --help, two steps).

        Examples:
          softsgx keygen signing-key.pem
          softsgx keygen signing-key.pem --public signing-key.pub.pem --passphrase-file passphrase.txt

        Exit status: 0; 1 if a file is there already or cannot be written; 2 for wrong options.
        """;

    private static readonly Argument<string> s_file = new("file") { Description = "Where the private key goes.", HelpName = "FILE.pem" };

    private static readonly Option<string?> s_public = new("--public") { Description = "Write the public key, too.", HelpName = "FILE.pem" };

    private static readonly Option<string?> s_passphrase = PassphraseFile.CreateOption("Encrypt the key with the first line of a file.");

    private static readonly Option<bool> s_force = new("--force") { Description = "Replace files that are there already." };

    internal static Command Create()
    {
        Command command = new(Name, "Make a key for signing enclaves: RSA-3072 with exponent 3.") { s_file, s_public, s_passphrase, s_force };
        command.SetAction(static result => FileProblemException.Report(() => Run(result)));
        return command;
    }

    private static int Run(ParseResult result)
    {
        string path = result.GetValue(s_file)!;
        string? publicPath = result.GetValue(s_public);
        bool force = result.GetValue(s_force);
        string? passphrase = PassphraseFile.Read(result.GetValue(s_passphrase));
        if (publicPath is not null && Path.GetFullPath(publicPath) == Path.GetFullPath(path))
        {
            throw new FileProblemException(path, "private and public key cannot both be this file");
        }

        NewFile.Refuse(path, force);
        if (publicPath is not null)
        {
            NewFile.Refuse(publicPath, force);
        }

        ProgressLine progress = new();
        using SigningKey key = SigningKey.Generate(progress.Report);
        progress.Dispose();
        string pem = passphrase is null ? key.ExportPrivatePem() : key.ExportEncryptedPem(passphrase);
        NewFile.Create(path, force, file => file.Write(System.Text.Encoding.ASCII.GetBytes(pem)), mode: NewFile.Secret);
        if (publicPath is not null)
        {
            NewFile.Create(publicPath, force, file => file.Write(System.Text.Encoding.ASCII.GetBytes(key.ExportPublicPem())));
        }

        Console.Out.WriteLine($"MRSIGNER  {key.MrSigner}");
        return 0;
    }
}
