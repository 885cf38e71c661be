using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[EMODPR]: takes permissions of a page away. The enclave accepts it when nobody can have the old ones any more.
/// SDM vol. 3D, EMODPR.
/// </summary>
public static class EModPr
{
    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="secInfo">RBX: the SECINFO; permissions that it lacks are taken away.</param>
    /// <param name="epcPage">RCX: the EPC page.</param>
    /// <returns>
    /// Success, #GP(0) or #PF, or
    /// <see cref="SgxError.SGX_EPC_PAGE_CONFLICT"/>: another SGX2 leaf modifies the page;
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
        if (scratch.IsWriteOnly) return LeafResult.GeneralProtection;
        if (!epcm.TryLockShared(epcPage)) return LeafResult.GeneralProtection;
        try
        {
            if (!epcm.IsValid(epcPage)) return EnclsChecks.PageFault(epcPage);
            if (!epcm.TryBeginModifying(epcPage)) return LeafResult.FromError(SgxError.SGX_EPC_PAGE_CONFLICT);
            try
            {
                return Restrict(processor, scratch.Permissions, epcPage);
            }
            finally
            {
                epcm.EndModifying(epcPage);
            }
        }
        finally
        {
            epcm.UnlockShared(epcPage);
        }
    }

    private static LeafResult Restrict(SgxProcessor processor, SecInfoFlags permissions, int epcPage)
    {
        Epcm epcm = processor.Epcm;

        if (epcm.IsPending(epcPage)) return LeafResult.FromError(SgxError.SGX_PAGE_NOT_MODIFIABLE);
        if (epcm.IsModified(epcPage)) return LeafResult.FromError(SgxError.SGX_PAGE_NOT_MODIFIABLE);
        if (epcm.TypeOf(epcPage) != PageType.PT_REG) return EnclsChecks.PageFault(epcPage);

        EnclaveState enclave = processor.StateOf(epcm.EnclaveSecs(epcPage));
        if (!enclave.IsInitialized) return LeafResult.GeneralProtection;

        enclave.UseTracking();
        epcm.Restrict(epcPage, permissions, enclave.Epoch);
        enclave.EndUseTracking();
        return LeafResult.Ok;
    }
}
