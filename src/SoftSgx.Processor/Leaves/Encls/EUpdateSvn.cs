using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[EUPDATESVN]: takes the security version of the microcode loaded into use, with a new paging key, while the EPC is empty.
/// Runtime Microcode Updates with Intel SGX (Intel document 648682), EUPDATESVN.
/// </summary>
public static class EUpdateSvn
{
    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <returns>
    /// Success, #GP(0), or
    /// <see cref="SgxError.SGX_EPC_PAGE_CONFLICT"/>: another leaf is running;
    /// <see cref="SgxError.SGX_EPC_NOT_READY"/>: a page of the EPC is in use;
    /// <see cref="SgxError.SGX_NO_UPDATE"/> (by CF): the version in use is not older.
    /// </returns>
    public static LeafResult Execute(SgxProcessor processor)
    {
        ArgumentNullException.ThrowIfNull(processor);
        Epcm epcm = processor.Epcm;

        if (EnclsChecks.IsMissing(processor.Configuration, LeafFeature.EUPDATESVN, out LeafResult missing)) return missing;

        int locked = 0;
        try
        {
            for (; locked < epcm.PageCount; locked++)
            {
                if (!epcm.TryLockExclusive(locked)) return LeafResult.FromError(SgxError.SGX_EPC_PAGE_CONFLICT);
                if (!epcm.IsValid(locked)) continue;

                epcm.UnlockExclusive(locked);
                return LeafResult.FromError(SgxError.SGX_EPC_NOT_READY);
            }

            processor.RenewPagingKey();
            return processor.Secrets.TryUpdateCpuSvn() ? LeafResult.Ok : LeafResult.FromInformation(SgxError.SGX_NO_UPDATE);
        }
        finally
        {
            while (--locked >= 0)
            {
                epcm.UnlockExclusive(locked);
            }
        }
    }
}
