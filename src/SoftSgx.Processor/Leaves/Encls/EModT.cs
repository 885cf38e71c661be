using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[EMODT]: modifies.
/// SDM vol. 3D, EMODT.
/// </summary>
public static class EModT
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
