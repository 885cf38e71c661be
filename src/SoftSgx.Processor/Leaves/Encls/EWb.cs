using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[EWB]: takes a page out of the EPC, encrypted and authenticated; its version stays behind in a version array.
/// SDM vol. 3D, EWB.
/// </summary>
public static class EWb
{
    private const int PageSize = 4096;

    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="destination">PAGEINFO.SRCPGE: where the encrypted page goes, 4,096 bytes.</param>
    /// <param name="pcmd">PAGEINFO.PCMD; out: what goes with the page.</param>
    /// <param name="linearAddress">PAGEINFO.LINADDR; in: zero; out: where the enclave has the page.</param>
    /// <param name="epcPage">RCX: the EPC page.</param>
    /// <param name="vaPage">RDX, upper part: EPC page of the version array.</param>
    /// <param name="vaOffset">RDX, lower part: offset in bytes of the slot, a multiple of 8.</param>
    /// <returns>
    /// Success, #GP(0) or #PF, or
    /// <see cref="SgxError.SGX_PAGE_NOT_BLOCKED"/>: EBLOCK comes first;
    /// <see cref="SgxError.SGX_NOT_TRACKED"/>: no ETRACK since, or somebody who was inside still is;
    /// <see cref="SgxError.SGX_CHILD_PRESENT"/>: the SECS still has pages;
    /// <see cref="SgxError.SGX_VA_SLOT_OCCUPIED"/> (by CF): the page is evicted, and the page that the slot belonged to is lost.
    /// </returns>
    public static LeafResult Execute(
        SgxProcessor processor,
        Span<byte> destination,
        ref Pcmd pcmd,
        ref ulong linearAddress,
        int epcPage,
        int vaPage,
        int vaOffset)
    {
        ArgumentNullException.ThrowIfNull(processor);
        ArgumentOutOfRangeException.ThrowIfNotEqual(destination.Length, PageSize);
        Epcm epcm = processor.Epcm;

        if (EnclsChecks.IsMissing(processor.Configuration, LeafFeature.SGX1, out LeafResult missing)) return missing;
        if (!epcm.Contains(epcPage)) return EnclsChecks.PageFault(epcPage);
        if ((uint)vaOffset >= PageSize) return LeafResult.GeneralProtection;
        if (vaOffset % VersionArray.SlotSize != 0) return LeafResult.GeneralProtection;
        if (!epcm.Contains(vaPage)) return EnclsChecks.PageFault(vaPage);
        if (epcPage == vaPage) return LeafResult.GeneralProtection;
        if (linearAddress != 0) return LeafResult.GeneralProtection;
        if (!epcm.TryLockExclusive(epcPage)) return LeafResult.GeneralProtection;
        try
        {
            if (!epcm.TryLockShared(vaPage)) return LeafResult.GeneralProtection;
            try
            {
                return Evict(processor, destination, ref pcmd, ref linearAddress, epcPage, vaPage, vaOffset);
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

    private static LeafResult Evict(
        SgxProcessor processor,
        Span<byte> destination,
        ref Pcmd pcmd,
        ref ulong linearAddress,
        int epcPage,
        int vaPage,
        int vaOffset)
    {
        Epcm epcm = processor.Epcm;

        if (!epcm.IsValid(epcPage)) return EnclsChecks.PageFault(epcPage);
        if (!EnclsChecks.IsVersionArray(epcm, vaPage)) return EnclsChecks.PageFault(vaPage);

        PageType type = epcm.TypeOf(epcPage);
        bool isChild = EnclsChecks.IsChild(type);
        EnclaveState? enclave = type == PageType.PT_VA ? null : processor.StateOf(epcm.EnclaveSecs(epcPage));
        if (isChild)
        {
            if (!enclave!.TryUseTracking()) return LeafResult.GeneralProtection;
            bool isTracked = enclave.IsTracked(epcm.Epoch(epcPage));
            enclave.EndUseTracking();

            if (!epcm.IsBlocked(epcPage)) return LeafResult.FromError(SgxError.SGX_PAGE_NOT_BLOCKED);
            if (!isTracked) return LeafResult.FromError(SgxError.SGX_NOT_TRACKED);
        }
        else if (type == PageType.PT_SECS)
        {
            if (enclave!.Children != 0) return LeafResult.FromError(SgxError.SGX_CHILD_PRESENT);
        }

        MacHeader header = default;
        header.SecInfo = SecInfo.For(type, epcm.State(epcPage));
        header.Eid = isChild ? enclave!.Id : 0;
        header.LinAddr = epcm.EnclaveAddress(epcPage);

        ulong version = processor.NextVersion();
        Key128 mac = default;
        processor.PageCipher.Encrypt(version, in header, processor.Frames.Frame(epcPage), destination, mac.AsSpan());
        pcmd = new Pcmd { SecInfo = header.SecInfo, EnclaveId = enclave?.Id ?? 0, Mac = mac };
        linearAddress = header.LinAddr;

        ulong before = Interlocked.Exchange(ref processor.VersionSlot(vaPage, vaOffset), version);
        Commit(processor, epcPage, type, enclave);
        return before == 0 ? LeafResult.Ok : LeafResult.FromInformation(SgxError.SGX_VA_SLOT_OCCUPIED);
    }

    private static void Commit(SgxProcessor processor, int epcPage, PageType type, EnclaveState? enclave)
    {
        processor.Epcm.Clear(epcPage);
        switch (type)
        {
            case PageType.PT_SECS:
                processor.EvictState(epcPage);
                break;

            case PageType.PT_VA:
                break;

            default:
                enclave!.RemoveChild();
                break;
        }
    }
}
