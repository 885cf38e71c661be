using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[ETRACK]: starts a new epoch of an enclave. Pages blocked before can be evicted when everybody who is inside now has left.
/// SDM vol. 3D, ETRACK.
/// </summary>
public static class ETrack
{
    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="secsPage">RCX: EPC page of the enclave's SECS.</param>
    /// <returns>
    /// Success, #GP(0) or #PF, or
    /// <see cref="SgxError.SGX_PREV_TRK_INCMPL"/>: somebody who was inside at the last ETRACK still is.
    /// </returns>
    public static LeafResult Execute(SgxProcessor processor, int secsPage)
    {
        ArgumentNullException.ThrowIfNull(processor);
        Epcm epcm = processor.Epcm;

        if (EnclsChecks.IsMissing(processor.Configuration, LeafFeature.SGX1, out LeafResult missing)) return missing;
        if (!epcm.Contains(secsPage)) return EnclsChecks.PageFault(secsPage);
        if (!epcm.TryLockShared(secsPage)) return LeafResult.GeneralProtection;
        try
        {
            // The manual asks first whether another leaf uses the tracking; on a page that is no SECS, none can.
            if (!EnclsChecks.IsSecs(epcm, secsPage)) return EnclsChecks.PageFault(secsPage);

            EnclaveState enclave = processor.StateOf(secsPage);
            if (!enclave.TryUpdateTracking()) return LeafResult.GeneralProtection;
            bool started = enclave.TryTrack();
            enclave.EndUpdateTracking();
            return started ? LeafResult.Ok : LeafResult.FromError(SgxError.SGX_PREV_TRK_INCMPL);
        }
        finally
        {
            epcm.UnlockShared(secsPage);
        }
    }
}
