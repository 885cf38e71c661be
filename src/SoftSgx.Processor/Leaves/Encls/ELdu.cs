using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[ELDU]: loads an evicted page, ready for use.
/// SDM vol. 3D, ELDB/ELDU/ELDBC/ELDUC.
/// </summary>
public static class ELdu
{
    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="source">PAGEINFO.SRCPGE: the encrypted page, 4,096 bytes.</param>
    /// <param name="pcmd">PAGEINFO.PCMD: what EWB gave with it.</param>
    /// <param name="linearAddress">PAGEINFO.LINADDR: where the enclave has it.</param>
    /// <param name="secsPage">PAGEINFO.SECS: EPC page of the enclave's SECS; not looked at for SECS and VA pages.</param>
    /// <param name="epcPage">RCX: the EPC page.</param>
    /// <param name="vaPage">RDX, upper part: EPC page of the version array.</param>
    /// <param name="vaOffset">RDX, lower part: offset in bytes of the slot, a multiple of 8.</param>
    /// <returns>
    /// Success, #GP(0) or #PF, or
    /// <see cref="SgxError.SGX_MAC_COMPARE_FAIL"/>: this is not the page that the slot belongs to, or was changed.
    /// </returns>
    public static LeafResult Execute(
        SgxProcessor processor,
        ReadOnlySpan<byte> source,
        in Pcmd pcmd,
        ulong linearAddress,
        int secsPage,
        int epcPage,
        int vaPage,
        int vaOffset)
    {
        ArgumentNullException.ThrowIfNull(processor);

        if (EnclsChecks.IsMissing(processor.Configuration, LeafFeature.SGX1, out LeafResult missing)) return missing;
        return EvictedPage.Load(
            processor, source, in pcmd, linearAddress, secsPage, epcPage, vaPage, vaOffset,
            blocked: false, conflict: LeafResult.GeneralProtection);
    }
}
