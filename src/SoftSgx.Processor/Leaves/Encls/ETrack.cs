namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[ETRACK]: starts tracking.
/// SDM vol. 3D, ETRACK.
/// </summary>
public static class ETrack
{
    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="secsPage">RCX: the SECS.</param>
    public static LeafResult Execute(SgxProcessor processor, int secsPage)
    {
        return LeafResult.GeneralProtection;
    }
}
