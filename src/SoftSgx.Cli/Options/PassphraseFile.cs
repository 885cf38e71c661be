using System.CommandLine;
using System.Text;

namespace SoftSgx.Cli.Options;

/// <summary><c>--passphrase-file</c>: a passphrase that no list of processes and no shell's history shows.</summary>
internal static class PassphraseFile
{
    private const int MaximumLength = 4096;

    internal static Option<string?> CreateOption(string description) => new("--passphrase-file") { Description = description, HelpName = "FILE" };

    /// <summary>The first line of the file; null without one.</summary>
    /// <exception cref="FileProblemException">It cannot be read, is too long or empty.</exception>
    internal static string? Read(string? path)
    {
        if (path is null)
        {
            return null;
        }

        byte[] bytes = new byte[MaximumLength + 1];
        int length = FileProblemException.Guard(path, () =>
        {
            using FileStream file = File.OpenRead(path);
            return file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
        });
        int end = bytes.AsSpan(0, length).IndexOfAny((byte)'\n', (byte)'\r');
        string passphrase = Encoding.UTF8.GetString(bytes, 0, end < 0 ? length : end);
        return length > MaximumLength ? throw new FileProblemException(path, $"longer than {MaximumLength} bytes: no file of a passphrase")
            : passphrase.Length == 0 ? throw new FileProblemException(path, "its first line is empty: no passphrase")
            : passphrase;
    }
}
