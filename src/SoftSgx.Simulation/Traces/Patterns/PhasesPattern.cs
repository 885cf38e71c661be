namespace SoftSgx.Simulation;

/// <summary>A working set that moves: for a while only some consecutive pages are accessed, equally often, then others.</summary>
/// <param name="pages">How many pages there are.</param>
/// <param name="workingSet">How many of them a phase accesses.</param>
/// <param name="length">How many accesses a phase lasts.</param>
public sealed class PhasesPattern(ulong pages, ulong workingSet, long length) : AccessPattern
{
    private ulong _start;
    private long _left;

    /// <inheritdoc/>
    public override ulong NextPage(ref SplitMix64 random)
    {
        if (_left-- == 0)
        {
            _start = random.Below(pages - workingSet + 1);
            _left = length - 1;
        }

        return _start + random.Below(workingSet);
    }
}
