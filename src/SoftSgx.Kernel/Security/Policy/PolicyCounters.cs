namespace SoftSgx.Kernel;

/// <summary>What a policy refused, or would have refused if it were enforcing: one for each audit line.</summary>
/// <param name="IsEnforcing">The refusals were ones.</param>
/// <param name="Rules">Number of rules.</param>
/// <param name="Denials">By permission, in the order in which they first came.</param>
public sealed record PolicyReport(bool IsEnforcing, int Rules, IReadOnlyList<PolicyDenials> Denials)
{
    /// <summary>All of them.</summary>
    public long Total => Denials.Sum(static denials => denials.Count);
}

/// <summary>How often a permission was denied.</summary>
public sealed record PolicyDenials(string Permission, long Count);
