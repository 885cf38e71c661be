using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[EMODPR]: modifies.
/// SDM vol. 3D, EMODPR.
/// </summary>
public static class EModPr
{
    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="secInfo">RBX: the SECINFO.</param>
    /// <param name="epcPage">RCX: the EPC page.</param>
    public static LeafResult Execute(SgxProcessor processor, in SecInfo secInfo, int epcPage)
    {
        return LeafResult.GeneralProtection;
    }
}
