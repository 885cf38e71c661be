namespace SoftSgx.Simulation;

/// <summary>In which order the pages of one enclave are accessed.</summary>
public abstract class AccessPattern
{
    /// <summary>The next page.</summary>
    /// <param name="random">Where chance comes from.</param>
    /// <returns>A page index.</returns>
    public abstract ulong NextPage(ref SplitMix64 random);
}
