using SoftSgx.Kernel;

namespace SoftSgx.Cli.Options;

/// <summary>What the replacement policies are called on the command line and in statistics.</summary>
internal static class PolicyNames
{
    private static readonly (string Name, ReplacementPolicyKind Policy)[] s_all =
    [
        ("lru", ReplacementPolicyKind.Lru),
        ("fifo", ReplacementPolicyKind.Fifo),
        ("2q", ReplacementPolicyKind.TwoQueues),
    ];

    /// <summary>All names, for messages.</summary>
    internal static string All { get; } = string.Join(", ", s_all.Select(static entry => entry.Name));

    /// <summary>The name of a policy.</summary>
    internal static string NameOf(ReplacementPolicyKind policy) => s_all.First(entry => entry.Policy == policy).Name;

    /// <summary>The policy of a name.</summary>
    internal static ReplacementPolicyKind? Find(string name) =>
        Array.Find(s_all, entry => entry.Name.Equals(name, StringComparison.OrdinalIgnoreCase)) is (not null, ReplacementPolicyKind policy) ? policy : null;
}
