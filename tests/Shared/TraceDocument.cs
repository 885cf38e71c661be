using System.Text.RegularExpressions;

namespace SoftSgx.Tests;

/// <summary>The names that docs/trace.md explains: everything between backquotes.</summary>
internal static partial class TraceDocument
{
    private static readonly Lazy<HashSet<string>> s_names = new(static () =>
        [.. Quoted().Matches(File.ReadAllText(Path.Combine(Root(), "docs", "trace.md"))).Select(static match => match.Groups[1].Value)]);

    /// <summary>Asserts that a field is explained; the offset that belongs to an address is by rule.</summary>
    internal static void AssertField(string name)
        => Assert.True(
            s_names.Value.Contains(name) || (name.EndsWith("Offset", StringComparison.Ordinal) && s_names.Value.Contains(name[..^"Offset".Length])),
            $"docs/trace.md does not explain the field '{name}'");

    /// <summary>Asserts that a kind of event, or an event of no architectural name, is explained.</summary>
    internal static void AssertName(string name) => Assert.True(s_names.Value.Contains(name), $"docs/trace.md does not explain '{name}'");

    [GeneratedRegex("`([^`\n]+)`")]
    private static partial Regex Quoted();

    private static string Root()
    {
        DirectoryInfo? folder = new(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "SoftSgx.slnx")))
        {
            folder = folder.Parent;
        }
        return folder?.FullName ?? throw new InvalidOperationException("The tests do not lie in the repository.");
    }
}
