using System.Globalization;
using SoftSgx.Images;

namespace SoftSgx.Cli;

/// <summary>A file that the user named cannot be read, written or understood. The message is one line and begins with its name.</summary>
internal sealed class FileProblemException : Exception
{
    internal FileProblemException(string file, string problem, Exception? cause = null) : base(Printable($"{file}: {problem}"), cause) { }

    /// <summary>Does something with a file; whatever goes wrong with it ends in this exception.</summary>
    internal static T Guard<T>(string file, Func<T> action)
    {
        try
        {
            return action();
        }
        catch (Exception e) when (e is ImageException or IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            throw new FileProblemException(file, e switch
            {
                ImageException => e.Message,
                FileNotFoundException or DirectoryNotFoundException => "no such file",
                _ when Directory.Exists(file) => "it is a folder",
                UnauthorizedAccessException => "permission denied",
                ArgumentException => "no name of a file",
                _ => e.Message,
            }, e);
        }
    }

    /// <summary>Does something with a file; whatever goes wrong with it ends in this exception.</summary>
    internal static void Guard(string file, Action action) => Guard(file, () =>
    {
        action();
        return true;
    });

    /// <summary>Runs a command; a problem with a file is one line on standard error and <paramref name="status"/>.</summary>
    internal static int Report(Func<int> command, int status = 1)
    {
        try
        {
            return command();
        }
        catch (FileProblemException e)
        {
            Messages.Error(e.Message);
            return status;
        }
    }

    /// <summary>Names in files are whatever their author wrote: nothing of them is to steer a terminal.</summary>
    internal static string Printable(string text, bool keepLines = false) => string.Concat(text.Select(c =>
        (c == '\n' && keepLines) || !(char.IsControl(c) || CharUnicodeInfo.GetUnicodeCategory(c) == UnicodeCategory.Format) ? c : '?'));
}
