using SoftSgx.Host;

namespace SoftSgx.Cli.Options;

/// <summary>A file that the user wants something written to.</summary>
internal static class OutputFile
{
    /// <summary>Opens it now, so that one that cannot be written is known before the program starts.</summary>
    /// <param name="option">The option that names it.</param>
    /// <param name="name">Its name.</param>
    /// <exception cref="HostException">It cannot be written; the message says why.</exception>
    internal static FileStream Open(string option, string name)
    {
        try
        {
            return new FileStream(name, FileMode.Create, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete, bufferSize: 0);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            string why = e switch
            {
                UnauthorizedAccessException => Directory.Exists(name) ? "it is a folder" : "permission denied",
                FileNotFoundException or DirectoryNotFoundException => "no such folder",
                ArgumentException => "it is no file name",
                _ => e.Message,
            };
            throw new HostException($"{option} cannot write '{name}' ({why}): give text, json, or a file that you may write");
        }
    }
}
