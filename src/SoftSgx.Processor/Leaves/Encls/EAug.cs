using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[EAUG]: adds.
/// SDM vol. 3D, EAUG.
/// </summary>
public static class EAug
{
    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="secInfo">PAGEINFO.SECINFO, or null for zero: a PT_REG page that can be read and written.</param>
    /// <param name="linearAddress">PAGEINFO.LINADDR.</param>
    /// <param name="secsPage">PAGEINFO.SECS: EPC page of the enclave's SECS.</param>
    /// <param name="epcPage">RCX: the EPC page.</param>
    public static LeafResult Execute(SgxProcessor processor, SecInfo? secInfo, ulong linearAddress, int secsPage, int epcPage)
    {
        return LeafResult.GeneralProtection;
    }
}
