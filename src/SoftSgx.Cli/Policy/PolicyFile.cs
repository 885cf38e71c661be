using SoftSgx.Host;
using SoftSgx.Kernel;

namespace SoftSgx.Cli.Policy;

/// <summary>Reads a policy from a file.</summary>
internal static class PolicyFile
{
    /// <summary>The policy for a run.</summary>
    /// <exception cref="HostException">The file cannot be read, or something in it is wrong; the message names the first error.</exception>
    internal static SecurityPolicy Load(string name)
    {
        if (Read(name, out IReadOnlyList<PolicyError> errors) is SecurityPolicy policy)
        {
            return policy;
        }
        string more = errors.Count == 1 ? "" : $" ({errors.Count - 1} more: softsgx policy check {name})";
        throw new HostException($"the policy {Format(name, errors[0])}{more}");
    }

    /// <summary>The policy of a file; null with errors.</summary>
    /// <exception cref="HostException">The file cannot be read.</exception>
    internal static SecurityPolicy? Read(string name, out IReadOnlyList<PolicyError> errors)
    {
        try
        {
            using FileStream file = new(name, FileMode.Open, FileAccess.Read);
            byte[] bytes = new byte[PolicyReader.MaximumSize + 1];
            int length = file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false); // one byte too many tells that it is too large
            return PolicyReader.Read(bytes.AsSpan(0, length), out errors);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            string why = e switch
            {
                FileNotFoundException or DirectoryNotFoundException => "no such file",
                _ when Directory.Exists(name) => "it is a folder",
                UnauthorizedAccessException => "permission denied",
                _ => e.Message,
            };
            throw new HostException($"the policy '{name}' cannot be read: {why}");
        }
    }

    /// <summary>An error as compilers write them, so that editors find the place.</summary>
    internal static string Format(string name, PolicyError error) =>
        $"{name}:{error.Line}:{error.Column}: {(error.Path.Length == 0 ? "" : error.Path + ": ")}{error.Reason}";
}
