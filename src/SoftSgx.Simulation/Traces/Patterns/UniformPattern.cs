namespace SoftSgx.Simulation;

/// <summary>Every page equally often: no policy can do anything.</summary>
/// <param name="pages">How many.</param>
public sealed class UniformPattern(ulong pages) : AccessPattern
{
    /// <inheritdoc/>
    public override ulong NextPage(ref SplitMix64 random) => random.Below(pages);
}
