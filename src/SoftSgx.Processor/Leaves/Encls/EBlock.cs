using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[EBLOCK]: lets no new translation of a page come into being, so that it can be evicted when the old ones are gone.
/// SDM vol. 3D, EBLOCK.
/// </summary>
public static class EBlock
{
    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="epcPage">RCX: the EPC page.</param>
    /// <returns>
    /// Success, #GP(0) or #PF, or
    /// <see cref="SgxError.SGX_EPC_PAGE_CONFLICT"/>: another leaf writes the page;
    /// <see cref="SgxError.SGX_PG_INVLD"/>: the page is not in use;
    /// <see cref="SgxError.SGX_PG_IS_SECS"/>, <see cref="SgxError.SGX_NOTBLOCKABLE"/> (by CF): pages of its type are not blocked;
    /// <see cref="SgxError.SGX_ENTRYEPOCH_LOCKED"/>: an ETRACK of the enclave is under way;
    /// <see cref="SgxError.SGX_BLKSTATE"/> (by CF): the page is blocked already.
    /// </returns>
    public static LeafResult Execute(SgxProcessor processor, int epcPage)
    {
        ArgumentNullException.ThrowIfNull(processor);
        Epcm epcm = processor.Epcm;

        if (EnclsChecks.IsMissing(processor.Configuration, LeafFeature.SGX1, out LeafResult missing)) return missing;
        if (!epcm.Contains(epcPage)) return EnclsChecks.PageFault(epcPage);
        if (!epcm.TryLockShared(epcPage)) return LeafResult.FromError(SgxError.SGX_EPC_PAGE_CONFLICT);
        try
        {
            if (!epcm.IsValid(epcPage)) return LeafResult.FromError(SgxError.SGX_PG_INVLD);
            if (epcm.TypeOf(epcPage) == PageType.PT_SECS) return LeafResult.FromInformation(SgxError.SGX_PG_IS_SECS);
            if (!EnclsChecks.IsChild(epcm.TypeOf(epcPage))) return LeafResult.FromInformation(SgxError.SGX_NOTBLOCKABLE);

            EnclaveState enclave = processor.StateOf(epcm.EnclaveSecs(epcPage));
            if (!enclave.TryUseTracking()) return LeafResult.FromError(SgxError.SGX_ENTRYEPOCH_LOCKED);
            bool blocked = epcm.TryBlock(epcPage, enclave.Epoch);
            enclave.EndUseTracking();
            return blocked ? LeafResult.Ok : LeafResult.FromInformation(SgxError.SGX_BLKSTATE);
        }
        finally
        {
            epcm.UnlockShared(epcPage);
        }
    }
}
