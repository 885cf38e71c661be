using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// What an EENTER would do now by a TCS that nobody uses: for a host that enters without the model, and lets it know afterwards.
/// </summary>
/// <param name="Target">The entry point.</param>
/// <param name="FsBase">Base of FS inside.</param>
/// <param name="GsBase">Base of GS inside.</param>
/// <param name="Cssa">Index of the SSA frame that an exit would use.</param>
/// <param name="Gpr">Linear address of GPRSGX in that frame.</param>
public readonly record struct EntryPoint(ulong Target, ulong FsBase, ulong GsBase, uint Cssa, ulong Gpr)
{
    /// <summary>Makes all checks of EENTER and changes nothing.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="logical">A logical processor outside of enclaves.</param>
    /// <param name="tcsAddress">Linear address of the TCS.</param>
    /// <param name="space">The page tables.</param>
    /// <param name="entry">What EENTER would do.</param>
    /// <returns>
    /// False if it would fault, or the thread opts in to debugging, which only the model knows how to do.
    /// </returns>
    public static bool TryDescribe(
        SgxProcessor processor, LogicalProcessor logical, ulong tcsAddress, ILinearAddressSpace space, out EntryPoint entry)
    {
        entry = default;
        if (!EnclaveEntry.TryLockTcs(processor, logical, tcsAddress, space, out int tcsPage))
        {
            return false;
        }

        try
        {
            return TryDescribe(processor, logical, tcsPage, space, ref entry);
        }
        finally
        {
            processor.Epcm.UnlockShared(tcsPage);
        }
    }

    private static bool TryDescribe(
        SgxProcessor processor, LogicalProcessor logical, int tcsPage, ILinearAddressSpace space, ref EntryPoint entry)
    {
        int secsPage = processor.Epcm.EnclaveSecs(tcsPage);
        ref readonly Tcs tcs = ref processor.TcsOf(tcsPage);
        ref readonly Secs secs = ref processor.SecsOf(secsPage);
        uint cssa = tcs.CSsa;
        ulong frameEnd = secs.BaseAddress + tcs.OSsa + ((ulong)secs.SsaFrameSize * PageSize * (cssa + 1UL));
        EntryPoint described = new(
            secs.BaseAddress + tcs.OEntry, secs.BaseAddress + tcs.OFsBase, secs.BaseAddress + tcs.OGsBase, cssa, frameEnd - GprSgx.Size);
        if (tcs.State != Tcs.Inactive
            || (tcs.Flags & TcsFlags.DBGOPTIN) != 0
            || !EnclaveEntry.IsAligned(in tcs)
            || !EnclaveEntry.IsEnterable(processor.Configuration, in secs, in tcs)
            || cssa >= tcs.NSsa
            || !EnclaveEntry.FindSsaFrame(processor, logical, space, secsPage, in secs, in tcs, cssa, out _).IsSuccess
            || !Canonical.IsCanonical(described.Target)
            || !Canonical.IsCanonical(described.FsBase)
            || !Canonical.IsCanonical(described.GsBase))
        {
            return false;
        }

        entry = described;
        return true;
    }

    private const int PageSize = 4096;
}
