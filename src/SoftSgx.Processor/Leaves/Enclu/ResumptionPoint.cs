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
        => EnclaveEntry.TryDescribe(processor, logical, tcsAddress, space, Describe, out point);

    private static bool Describe(
        SgxProcessor processor, LogicalProcessor logical, ILinearAddressSpace space, int secsPage, in Secs secs, in Tcs tcs, out ResumptionPoint point)
    {
        uint index = tcs.CSsa - 1;
        ulong frameSize = (ulong)secs.SsaFrameSize * PageSize;
        ulong frame = secs.BaseAddress + tcs.OSsa + (frameSize * index);
        point = new ResumptionPoint(index, frame + frameSize - GprSgx.Size, frame, secs.Attributes.Xfrm);
        return (tcs.Flags & (TcsFlags.DBGOPTIN | TcsFlags.AEXNOTIFY)) == 0
            && tcs.CSsa != 0
            && EnclaveEntry.FindSsaFrame(processor, logical, space, secsPage, in secs, in tcs, index, out _).IsSuccess;
    }
}
