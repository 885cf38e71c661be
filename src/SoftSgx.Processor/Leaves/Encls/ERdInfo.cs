using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[ERDINFO]: reads.
/// SDM vol. 3D, ERDINFO.
/// </summary>
public static class ERdInfo
{
    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="info">RBX: the RDINFO to fill.</param>
    /// <param name="epcPage">RCX: the EPC page.</param>
    public static LeafResult Execute(SgxProcessor processor, ref RdInfo info, int epcPage)
    {
        return LeafResult.GeneralProtection;
    }
}
