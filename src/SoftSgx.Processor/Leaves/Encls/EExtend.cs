using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[EEXTEND]: measures 256 bytes of an enclave that is being built.
/// SDM vol. 3D, EEXTEND.
/// </summary>
public static class EExtend
{
    /// <summary>Bytes that one EEXTEND measures.</summary>
    public const int ChunkLength = 256;

    private const int PageSize = 4096;

    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="secsPage">RBX: EPC page of the enclave's SECS.</param>
    /// <param name="epcPage">RCX, upper part: the EPC page.</param>
    /// <param name="offsetInPage">RCX, lower part: offset in the page, a multiple of 256.</param>
    /// <returns>Success, #GP(0) or #PF.</returns>
    public static LeafResult Execute(SgxProcessor processor, int secsPage, int epcPage, int offsetInPage)
    {
        ArgumentNullException.ThrowIfNull(processor);
        Epcm epcm = processor.Epcm;

        if (EnclsChecks.IsMissing(processor.Configuration, LeafFeature.SGX1, out LeafResult missing)) return missing;
        if (!epcm.Contains(secsPage)) return EnclsChecks.PageFault(secsPage);
        if ((uint)offsetInPage >= PageSize) return LeafResult.GeneralProtection;
        if (offsetInPage % ChunkLength != 0) return LeafResult.GeneralProtection;
        if (!epcm.Contains(epcPage)) return EnclsChecks.PageFault(epcPage);

        // The manual shares the entry. All that could share it with this leaf is another EEXTEND of the same enclave, which
        // would conflict on the measurement with the same #GP(0); holding it exclusively costs one locked operation less.
        if (!epcm.TryLockExclusive(epcPage)) return LeafResult.GeneralProtection;
        try
        {
            if (!epcm.IsValid(epcPage)) return EnclsChecks.PageFault(epcPage);
            if (epcm.TypeOf(epcPage) is not (PageType.PT_REG or PageType.PT_TCS)) return EnclsChecks.PageFault(epcPage);
            if (epcm.EnclaveSecs(epcPage) != secsPage) return LeafResult.GeneralProtection;

            // The page is a child and stays one while its entry is held, so the SECS and its state stay too.
            EnclaveState enclave = processor.StateOf(secsPage);
            if (!enclave.TryBeginMeasuring()) return LeafResult.GeneralProtection;
            try
            {
                if (enclave.IsInitialized) return LeafResult.GeneralProtection;

                ulong offset = epcm.EnclaveAddress(epcPage) - enclave.BaseAddress + (uint)offsetInPage;
                enclave.Measurement.Extend(offset, processor.Frames.Frame(epcPage)[offsetInPage..]);
                return LeafResult.Ok;
            }
            finally
            {
                enclave.EndMeasuring();
            }
        }
        finally
        {
            epcm.UnlockExclusive(epcPage);
        }
    }
}
