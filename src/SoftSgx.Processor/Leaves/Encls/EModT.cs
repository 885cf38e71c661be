using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[EMODT]: makes a page a TCS, or lets it go. The enclave accepts it when nobody can use it the old way any more.
/// SDM vol. 3D, EMODT.
/// </summary>
public static class EModT
{
    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="secInfo">RBX: the SECINFO; its type is PT_TCS or PT_TRIM.</param>
    /// <param name="epcPage">RCX: the EPC page.</param>
    /// <returns>
    /// Success, #GP(0) or #PF, or
    /// <see cref="SgxError.SGX_EPC_PAGE_CONFLICT"/>: another leaf uses the page;
    /// <see cref="SgxError.SGX_PAGE_NOT_MODIFIABLE"/>: the page is pending or modified.
    /// </returns>
    public static LeafResult Execute(SgxProcessor processor, in SecInfo secInfo, int epcPage)
    {
        ArgumentNullException.ThrowIfNull(processor);
        Epcm epcm = processor.Epcm;
        SecInfo scratch = secInfo;

        if (EnclsChecks.IsMissing(processor.Configuration, LeafFeature.SGX2, out LeafResult missing)) return missing;
        if (!epcm.Contains(epcPage)) return EnclsChecks.PageFault(epcPage);
        if (!scratch.IsReservedZero) return LeafResult.GeneralProtection;
        if (scratch.PageType is not (PageType.PT_TCS or PageType.PT_TRIM)) return LeafResult.GeneralProtection;

        // Whoever modifies a page shares its entry: an exclusive holder needs no second lock.
        if (!epcm.TryLockExclusive(epcPage)) return LeafResult.FromError(SgxError.SGX_EPC_PAGE_CONFLICT);
        try
        {
            return Retype(processor, scratch.PageType, epcPage);
        }
        finally
        {
            epcm.UnlockExclusive(epcPage);
        }
    }

    private static LeafResult Retype(SgxProcessor processor, PageType type, int epcPage)
    {
        Epcm epcm = processor.Epcm;

        if (!epcm.IsValid(epcPage)) return EnclsChecks.PageFault(epcPage);
        PageType present = epcm.TypeOf(epcPage);
        bool isTcsToTrim = present == PageType.PT_TCS && type == PageType.PT_TRIM;
        if (present != PageType.PT_REG && !isTcsToTrim) return EnclsChecks.PageFault(epcPage);
        if (epcm.IsPending(epcPage)) return LeafResult.FromError(SgxError.SGX_PAGE_NOT_MODIFIABLE);
        if (epcm.IsModified(epcPage)) return LeafResult.FromError(SgxError.SGX_PAGE_NOT_MODIFIABLE);

        EnclaveState enclave = processor.StateOf(epcm.EnclaveSecs(epcPage));
        if (!enclave.IsInitialized) return LeafResult.GeneralProtection;

        enclave.UseTracking();
        epcm.Retype(epcPage, type, enclave.Epoch);
        enclave.EndUseTracking();
        return LeafResult.Ok;
    }
}
