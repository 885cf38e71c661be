namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[EDBGRD]: reads.
/// SDM vol. 3D, EDBGRD.
/// </summary>
public static class EDbgRd
{
    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="epcPage">RCX, upper part: the EPC page.</param>
    /// <param name="offsetInPage">RCX, lower part: offset in the page.</param>
    /// <param name="data">RBX: the eight bytes.</param>
    public static LeafResult Execute(SgxProcessor processor, int epcPage, int offsetInPage, out ulong data)
    {
        data = 0;
        return LeafResult.GeneralProtection;
    }
}
