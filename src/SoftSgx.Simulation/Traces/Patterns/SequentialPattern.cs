namespace SoftSgx.Simulation;

/// <summary>One page after the other, over and over: what LRU is worst at if they do not all fit.</summary>
/// <param name="pages">How many.</param>
public sealed class SequentialPattern(ulong pages) : AccessPattern
{
    private ulong _next;

    /// <inheritdoc/>
    public override ulong NextPage(ref SplitMix64 random)
    {
        ulong page = _next;
        _next = page + 1 == pages ? 0 : page + 1;
        return page;
    }
}
