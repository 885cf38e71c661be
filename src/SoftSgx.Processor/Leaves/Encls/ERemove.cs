using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[EREMOVE]: takes an EPC page out of use.
/// SDM vol. 3D, EREMOVE.
/// </summary>
public static class ERemove
{
    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="epcPage">RCX: the EPC page.</param>
    /// <returns>
    /// Success (also for a page that was not in use), #GP(0) or #PF, or
    /// <see cref="SgxError.SGX_CHILD_PRESENT"/>: the SECS still has pages;
    /// <see cref="SgxError.SGX_ENCLAVE_ACT"/>: a thread is in the enclave.
    /// </returns>
    public static LeafResult Execute(SgxProcessor processor, int epcPage)
    {
        ArgumentNullException.ThrowIfNull(processor);
        Epcm epcm = processor.Epcm;

        if (EnclsChecks.IsMissing(processor.Configuration, LeafFeature.SGX1, out LeafResult missing)) return missing;
        if (!epcm.Contains(epcPage)) return EnclsChecks.PageFault(epcPage);
        if (!epcm.TryLockExclusive(epcPage)) return LeafResult.GeneralProtection;
        try
        {
            if (!epcm.IsValid(epcPage)) return LeafResult.Ok;

            switch (epcm.TypeOf(epcPage))
            {
                case PageType.PT_VA:
                    epcm.Clear(epcPage);
                    return LeafResult.Ok;

                case PageType.PT_SECS:
                    if (processor.StateOf(epcPage).Children != 0) return LeafResult.FromError(SgxError.SGX_CHILD_PRESENT);
                    epcm.Clear(epcPage);
                    processor.DropState(epcPage);
                    return LeafResult.Ok;

                // The enclave has accepted that the page goes: nobody inside can still use it.
                case PageType.PT_TRIM when !epcm.IsModified(epcPage):
                    epcm.Clear(epcPage);
                    processor.StateOf(epcm.EnclaveSecs(epcPage)).RemoveChild();
                    return LeafResult.Ok;

                default:
                    EnclaveState enclave = processor.StateOf(epcm.EnclaveSecs(epcPage));
                    if (enclave.ThreadsInside != 0) return LeafResult.FromError(SgxError.SGX_ENCLAVE_ACT);
                    epcm.Clear(epcPage);
                    enclave.RemoveChild();
                    return LeafResult.Ok;
            }
        }
        finally
        {
            epcm.UnlockExclusive(epcPage);
        }
    }
}
