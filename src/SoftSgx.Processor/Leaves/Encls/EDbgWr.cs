namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[EDBGWR]: writes.
/// SDM vol. 3D, EDBGWR.
/// </summary>
public static class EDbgWr
{
    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="data">RBX: the eight bytes.</param>
    /// <param name="epcPage">RCX, upper part: the EPC page.</param>
    /// <param name="offsetInPage">RCX, lower part: offset in the page.</param>
    public static LeafResult Execute(SgxProcessor processor, ulong data, int epcPage, int offsetInPage)
    {
        return LeafResult.GeneralProtection;
    }
}
