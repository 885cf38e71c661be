using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[EPA]: makes an EPC page a version array.
/// SDM vol. 3D, EPA.
/// </summary>
public static class EPa
{
    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="pageType">RBX: PT_VA.</param>
    /// <param name="epcPage">RCX: the EPC page.</param>
    public static LeafResult Execute(SgxProcessor processor, PageType pageType, int epcPage)
    {
        return LeafResult.GeneralProtection;
    }
}
