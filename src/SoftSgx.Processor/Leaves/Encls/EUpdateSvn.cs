namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[EUPDATESVN]: updates.
/// SDM vol. 3D, EUPDATESVN.
/// </summary>
public static class EUpdateSvn
{
    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    public static LeafResult Execute(SgxProcessor processor)
    {
        return LeafResult.GeneralProtection;
    }
}
