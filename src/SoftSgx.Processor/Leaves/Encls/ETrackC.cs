namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[ETRACKC]: starts tracking.
/// SDM vol. 3D, ETRACKC.
/// </summary>
public static class ETrackC
{
    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="epcPage">RCX: the EPC page.</param>
    public static LeafResult Execute(SgxProcessor processor, int epcPage)
    {
        return LeafResult.GeneralProtection;
    }
}
