using System.Text;

namespace SoftSgx.Cli;

/// <summary>One-line messages to the user on standard error.</summary>
internal static class Messages
{
    internal static void Error(string message) => Write($"softsgx: {message}\n");

    /// <summary>
    /// Writes without the Console class, which would set up terminal handling that belongs to the program under supervision.
    /// </summary>
    private static void Write(string text)
    {
        using FileStream error = new(new Microsoft.Win32.SafeHandles.SafeFileHandle(2, ownsHandle: false), FileAccess.Write, bufferSize: 0);
        try
        {
            error.Write(Encoding.UTF8.GetBytes(text));
        }
        catch (IOException)
        {
            // Nobody reads our standard error: there is nobody to tell.
        }
    }
}
