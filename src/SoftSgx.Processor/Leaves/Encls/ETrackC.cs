using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[ETRACKC]: ETRACK that takes any page of the enclave and tells of conflicts by an error code.
/// SDM vol. 3D, ETRACKC.
/// </summary>
public static class ETrackC
{
    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="epcPage">RCX: a page of the enclave, or its SECS.</param>
    /// <returns>
    /// Success, #GP(0) or #PF, or
    /// <see cref="SgxError.SGX_EPC_PAGE_CONFLICT"/>: another leaf writes the page or uses the tracking;
    /// <see cref="SgxError.SGX_PG_INVLD"/>: the page is not in use;
    /// <see cref="SgxError.SGX_TRACK_NOT_REQUIRED"/> (by CF): the page is of no enclave;
    /// <see cref="SgxError.SGX_PREV_TRK_INCMPL"/>: somebody who was inside at the last ETRACK still is.
    /// </returns>
    public static LeafResult Execute(SgxProcessor processor, int epcPage)
    {
        ArgumentNullException.ThrowIfNull(processor);
        Epcm epcm = processor.Epcm;

        if (EnclsChecks.IsMissing(processor.Configuration, LeafFeature.OSS, out LeafResult missing)) return missing;
        if (!epcm.Contains(epcPage)) return EnclsChecks.PageFault(epcPage);
        if (!epcm.TryLockShared(epcPage)) return LeafResult.FromError(SgxError.SGX_EPC_PAGE_CONFLICT);
        try
        {
            if (!epcm.IsValid(epcPage)) return LeafResult.FromError(SgxError.SGX_PG_INVLD);
            PageType type = epcm.TypeOf(epcPage);
            bool belongs = EnclsChecks.IsChild(type) || type == PageType.PT_SECS;
            if (!belongs) return LeafResult.FromInformation(SgxError.SGX_TRACK_NOT_REQUIRED);

            // A SECS is its own ENCLAVESECS. A child stays one while its entry is held, so the SECS and its state stay too.
            EnclaveState enclave = processor.StateOf(epcm.EnclaveSecs(epcPage));
            if (!enclave.TryUpdateTracking()) return LeafResult.FromError(SgxError.SGX_EPC_PAGE_CONFLICT);
            bool started = enclave.TryTrack();
            enclave.EndUpdateTracking();
            return started ? LeafResult.Ok : LeafResult.FromError(SgxError.SGX_PREV_TRK_INCMPL);
        }
        finally
        {
            epcm.UnlockShared(epcPage);
        }
    }
}
