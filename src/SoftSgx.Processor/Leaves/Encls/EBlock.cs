namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[EBLOCK]: blocks a page.
/// SDM vol. 3D, EBLOCK.
/// </summary>
public static class EBlock
{
    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="epcPage">RCX: the EPC page.</param>
    public static LeafResult Execute(SgxProcessor processor, int epcPage)
    {
        return LeafResult.GeneralProtection;
    }
}
