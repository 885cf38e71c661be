using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// Where an ERESUME would find what it loads, by a TCS that nobody uses now: for a host that resumes without the model, and lets it know
/// afterwards (<see cref="EResume.Adopt"/>).
/// </summary>
/// <param name="Cssa">Index of the SSA frame; what CSSA will be afterwards.</param>
/// <param name="Gpr">Linear address of GPRSGX in that frame.</param>
/// <param name="Xsave">Linear address of the XSAVE area in that frame.</param>
/// <param name="Xfrm">What of the XSAVE area is loaded.</param>
public readonly record struct ResumptionPoint(uint Cssa, ulong Gpr, ulong Xsave, ulong Xfrm)
{
    private const int PageSize = 4096;

    /// <summary>Makes all checks of ERESUME but those of the frame's contents, which count at the moment that it executes, and changes nothing.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="logical">A logical processor outside of enclaves.</param>
    /// <param name="tcsAddress">Linear address of the TCS.</param>
    /// <param name="space">The page tables.</param>
    /// <param name="point">Where ERESUME would find what it loads.</param>
    /// <returns>
    /// False if it would fault, or the thread opts in to debugging or to AEX-Notify, which only the model knows how to do.
    /// </returns>
    public static bool TryDescribe(
        SgxProcessor processor, LogicalProcessor logical, ulong tcsAddress, ILinearAddressSpace space, out ResumptionPoint point)
    {
        point = default;
        if (!EnclaveEntry.TryLockTcs(processor, logical, tcsAddress, space, out int tcsPage))
        {
            return false;
        }

        try
        {
            return TryDescribe(processor, logical, tcsPage, space, ref point);
        }
        finally
        {
            processor.Epcm.UnlockShared(tcsPage);
        }
    }

    private static bool TryDescribe(
        SgxProcessor processor, LogicalProcessor logical, int tcsPage, ILinearAddressSpace space, ref ResumptionPoint point)
    {
        int secsPage = processor.Epcm.EnclaveSecs(tcsPage);
        ref readonly Tcs tcs = ref processor.TcsOf(tcsPage);
        ref readonly Secs secs = ref processor.SecsOf(secsPage);
        uint cssa = tcs.CSsa;
        if (tcs.State != Tcs.Inactive
            || (tcs.Flags & (TcsFlags.DBGOPTIN | TcsFlags.AEXNOTIFY)) != 0
            || !EnclaveEntry.IsAligned(in tcs)
            || !EnclaveEntry.IsEnterable(processor.Configuration, in secs, in tcs)
            || cssa == 0
            || !EnclaveEntry.FindSsaFrame(processor, logical, space, secsPage, in secs, in tcs, cssa - 1, out _).IsSuccess)
        {
            return false;
        }

        ulong frameSize = (ulong)secs.SsaFrameSize * PageSize;
        ulong frame = secs.BaseAddress + tcs.OSsa + (frameSize * (cssa - 1));
        point = new ResumptionPoint(cssa - 1, frame + frameSize - GprSgx.Size, frame, secs.Attributes.Xfrm);
        return true;
    }
}
