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
        => EnclaveEntry.TryDescribe(processor, logical, tcsAddress, space, Describe, out entry);

    private static bool Describe(
        SgxProcessor processor, LogicalProcessor logical, ILinearAddressSpace space, int secsPage, in Secs secs, in Tcs tcs, out EntryPoint entry)
    {
        uint cssa = tcs.CSsa;
        ulong frameEnd = secs.BaseAddress + tcs.OSsa + ((ulong)secs.SsaFrameSize * PageSize * (cssa + 1UL));
        entry = new EntryPoint(
            secs.BaseAddress + tcs.OEntry, secs.BaseAddress + tcs.OFsBase, secs.BaseAddress + tcs.OGsBase, cssa, frameEnd - GprSgx.Size);
        return (tcs.Flags & TcsFlags.DBGOPTIN) == 0
            && cssa < tcs.NSsa
            && EnclaveEntry.FindSsaFrame(processor, logical, space, secsPage, in secs, in tcs, cssa, out _).IsSuccess
            && Canonical.IsCanonical(entry.Target)
            && Canonical.IsCanonical(entry.FsBase)
            && Canonical.IsCanonical(entry.GsBase);
    }

    private const int PageSize = 4096;
}
