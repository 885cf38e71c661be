using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[EAUG]: adds a page of zeros to an initialised enclave. The enclave has to accept it before it can use it.
/// SDM vol. 3D, EAUG.
/// </summary>
public static class EAug
{
    private const ulong PageMask = 4095;

    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="secInfo">
    /// PAGEINFO.SECINFO: null stands for zero, a page of type PT_REG that can be read and written. Others are for shadow stacks,
    /// and CET is not enumerated.
    /// </param>
    /// <param name="linearAddress">PAGEINFO.LINADDR: where the enclave has it.</param>
    /// <param name="secsPage">PAGEINFO.SECS: EPC page of the enclave's SECS.</param>
    /// <param name="epcPage">RCX: the EPC page.</param>
    /// <returns>Success, #GP(0) or #PF.</returns>
    public static LeafResult Execute(SgxProcessor processor, SecInfo? secInfo, ulong linearAddress, int secsPage, int epcPage)
    {
        ArgumentNullException.ThrowIfNull(processor);
        Epcm epcm = processor.Epcm;

        if (EnclsChecks.IsMissing(processor.Configuration, LeafFeature.SGX2, out LeafResult missing)) return missing;
        if (!epcm.Contains(epcPage)) return EnclsChecks.PageFault(epcPage);
        if ((linearAddress & PageMask) != 0) return LeafResult.GeneralProtection;
        if (!epcm.Contains(secsPage)) return EnclsChecks.PageFault(secsPage);
        if (!epcm.TryLockExclusive(epcPage)) return LeafResult.GeneralProtection;
        try
        {
            if (epcm.IsValid(epcPage)) return EnclsChecks.PageFault(epcPage);
            if (secInfo is not null) return LeafResult.GeneralProtection;
            if (!epcm.TryLockShared(secsPage)) return LeafResult.GeneralProtection;
            try
            {
                return AddTo(processor, linearAddress, secsPage, epcPage);
            }
            finally
            {
                epcm.UnlockShared(secsPage);
            }
        }
        finally
        {
            epcm.UnlockExclusive(epcPage);
        }
    }

    private static LeafResult AddTo(SgxProcessor processor, ulong linearAddress, int secsPage, int epcPage)
    {
        const SecInfoFlags Pending = SecInfoFlags.R | SecInfoFlags.W | SecInfoFlags.PENDING;

        if (!EnclsChecks.IsSecs(processor.Epcm, secsPage)) return EnclsChecks.PageFault(secsPage);

        EnclaveState enclave = processor.StateOf(secsPage);
        ref readonly Secs secs = ref processor.SecsOf(secsPage);
        if (!enclave.IsInitialized) return LeafResult.GeneralProtection;
        if (linearAddress - secs.BaseAddress >= secs.EnclaveSize) return LeafResult.GeneralProtection;

        processor.Frames.Frame(epcPage).Clear();
        enclave.AddChild();
        processor.Epcm.Set(epcPage, PageType.PT_REG, Pending, linearAddress, secsPage, epoch: enclave.EpochLongAgo);
        return LeafResult.Ok;
    }
}
