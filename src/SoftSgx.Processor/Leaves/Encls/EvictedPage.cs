using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// What ELDB, ELDU, ELDBC and ELDUC have in common: a page that EWB took out comes back if it is the one, and the last one, that the
/// version array knows.
/// SDM vol. 3D, ELDB/ELDU/ELDBC/ELDUC.
/// </summary>
internal static class EvictedPage
{
    private const int PageSize = 4096;

    /// <summary>Executes one of the four.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="source">PAGEINFO.SRCPGE: the encrypted page, 4,096 bytes.</param>
    /// <param name="pcmd">PAGEINFO.PCMD: what EWB gave with it.</param>
    /// <param name="linearAddress">PAGEINFO.LINADDR: where the enclave has it.</param>
    /// <param name="secsPage">PAGEINFO.SECS: EPC page of the enclave's SECS; not looked at for SECS and VA pages.</param>
    /// <param name="epcPage">RCX: the EPC page.</param>
    /// <param name="vaPage">RDX, upper part: EPC page of the version array.</param>
    /// <param name="vaOffset">RDX, lower part: offset in bytes of the slot, a multiple of 8.</param>
    /// <param name="blocked">The page comes back blocked.</param>
    /// <param name="conflict">What a conflict with another leaf ends in.</param>
    public static LeafResult Load(
        SgxProcessor processor,
        ReadOnlySpan<byte> source,
        in Pcmd pcmd,
        ulong linearAddress,
        int secsPage,
        int epcPage,
        int vaPage,
        int vaOffset,
        bool blocked,
        LeafResult conflict)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(source.Length, PageSize);
        Epcm epcm = processor.Epcm;

        if (!epcm.Contains(epcPage)) return EnclsChecks.PageFault(epcPage);
        if ((uint)vaOffset >= PageSize) return LeafResult.GeneralProtection;
        if (vaOffset % VersionArray.SlotSize != 0) return LeafResult.GeneralProtection;
        if (!epcm.Contains(vaPage)) return EnclsChecks.PageFault(vaPage);
        if (!epcm.TryLockExclusive(epcPage)) return conflict;
        try
        {
            if (!epcm.TryLockShared(vaPage)) return conflict;
            try
            {
                if (epcm.IsValid(epcPage)) return EnclsChecks.PageFault(epcPage);
                if (!EnclsChecks.IsVersionArray(epcm, vaPage)) return EnclsChecks.PageFault(vaPage);

                Pcmd scratch = pcmd;
                if (!EnclsChecks.IsChild(scratch.SecInfo.PageType))
                {
                    return Decrypt(processor, source, in scratch, linearAddress, null, epcPage, epcPage, vaPage, vaOffset, blocked);
                }

                if (!epcm.Contains(secsPage)) return EnclsChecks.PageFault(secsPage);
                if (!epcm.TryLockShared(secsPage)) return conflict;
                try
                {
                    if (!EnclsChecks.IsSecs(epcm, secsPage)) return EnclsChecks.PageFault(secsPage);

                    EnclaveState enclave = processor.StateOf(secsPage);
                    return Decrypt(processor, source, in scratch, linearAddress, enclave, secsPage, epcPage, vaPage, vaOffset, blocked);
                }
                finally
                {
                    epcm.UnlockShared(secsPage);
                }
            }
            finally
            {
                epcm.UnlockShared(vaPage);
            }
        }
        finally
        {
            epcm.UnlockExclusive(epcPage);
        }
    }

    private static LeafResult Decrypt(
        SgxProcessor processor,
        ReadOnlySpan<byte> source,
        in Pcmd pcmd,
        ulong linearAddress,
        EnclaveState? enclave,
        int secsPage,
        int epcPage,
        int vaPage,
        int vaOffset,
        bool blocked)
    {
        MacHeader header = default;
        header.SecInfo = pcmd.SecInfo;
        header.Eid = enclave?.Id ?? 0;
        header.Reserved = pcmd.Reserved;
        header.LinAddr = linearAddress;

        ref ulong slot = ref processor.VersionSlot(vaPage, vaOffset);
        ulong version = Volatile.Read(ref slot);
        bool isAuthentic = processor.PageCipher.TryDecrypt(
            version, in header, source, pcmd.Mac.AsReadOnlySpan(), processor.Frames.Frame(epcPage));

        if (!isAuthentic) return LeafResult.FromError(SgxError.SGX_MAC_COMPARE_FAIL);

        // Emptying the slot is what keeps this copy from ever being loaded again. It may have changed hands meanwhile.
        if (Interlocked.CompareExchange(ref slot, 0, version) != version) return LeafResult.GeneralProtection;

        Commit(processor, in header, enclave, secsPage, epcPage, blocked);
        return LeafResult.Ok;
    }

    private static void Commit(
        SgxProcessor processor, in MacHeader header, EnclaveState? enclave, int secsPage, int epcPage, bool blocked)
    {
        PageType type = header.SecInfo.PageType;
        if (enclave is null)
        {
            if (type == PageType.PT_SECS)
            {
                processor.LoadState(epcPage);
                processor.PrivateSecsOf(epcPage).EnclaveContext = processor.PhysicalAddress(epcPage);
            }

            processor.Epcm.Set(epcPage, type, header.SecInfo.Flags, header.LinAddr, secsPage);
            return;
        }

        // Nobody can have a translation of a page that just came. One that comes back blocked has to be tracked once more all the
        // same before it can go: EBLOCK is not told apart from ELDB.
        uint epoch = blocked ? enclave.Epoch : enclave.EpochLongAgo;
        enclave.AddChild();
        processor.Epcm.Set(epcPage, type, header.SecInfo.Flags, header.LinAddr, secsPage, blocked, epoch);
    }
}
