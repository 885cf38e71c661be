using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[EPA]: makes an EPC page a version array, all slots of it empty.
/// SDM vol. 3D, EPA.
/// </summary>
public static class EPa
{
    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="pageType">RBX: PT_VA.</param>
    /// <param name="epcPage">RCX: the EPC page.</param>
    /// <returns>Success, #GP(0) or #PF.</returns>
    public static LeafResult Execute(SgxProcessor processor, PageType pageType, int epcPage)
    {
        ArgumentNullException.ThrowIfNull(processor);
        Epcm epcm = processor.Epcm;

        if (EnclsChecks.IsMissing(processor.Configuration, LeafFeature.SGX1, out LeafResult missing)) return missing;
        if (pageType != PageType.PT_VA) return LeafResult.GeneralProtection;
        if (!epcm.Contains(epcPage)) return EnclsChecks.PageFault(epcPage);
        if (!epcm.TryLockExclusive(epcPage)) return LeafResult.GeneralProtection;
        try
        {
            if (epcm.IsValid(epcPage)) return EnclsChecks.PageFault(epcPage);

            processor.Frames.Frame(epcPage).Clear();
            epcm.Set(epcPage, PageType.PT_VA, SecInfoFlags.None, address: 0, secs: epcPage);
            return LeafResult.Ok;
        }
        finally
        {
            epcm.UnlockExclusive(epcPage);
        }
    }
}
