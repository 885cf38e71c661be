using SoftSgx.Host;

namespace SoftSgx.Cli;

/// <summary>One-line messages to the user on standard error.</summary>
internal static class Messages
{
    internal static void Error(string message) => StandardError.Write($"softsgx: {message}\n");
}
