namespace SoftSgx.Images;

/// <summary>How two enclaves differ.</summary>
/// <param name="First">The first operation that differs; null if both measure to the same.</param>
/// <param name="Regions">Differences by the name of the pages, in the order of their addresses; those that are not measured, too.</param>
/// <param name="RegionsAreKnown">False if there are too many pages of their own to sum them up.</param>
public sealed record EnclaveComparison(FirstDifference? First, IReadOnlyList<RegionDifference> Regions, bool RegionsAreKnown)
{
    /// <summary>True if both enclaves are measured by the very same operations.</summary>
    public bool IsSame => First is null;
}
