using System.Numerics;
using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// EADD, EEXTEND and EREMOVE of one page after the other through a single EPC page: for tools that want an enclave's measurement and
/// never its memory.
/// SDM vol. 3D, EADD, EEXTEND, EREMOVE.
/// </summary>
/// <remarks>
/// <para>
/// What is measured, and which fault ends it, is what the leaves would do one by one. They cost more than hashing a record of 64 bytes
/// does, by their locked operations; here these are taken once for a run of pages. That nobody sees a difference follows from what is
/// held: the entry of the EPC page exclusively, so that the page between EADD and EREMOVE is seen by nobody; the SECS shared, so that
/// it stays; the measurement, so that no EINIT comes between.
/// </para>
/// <para>
/// EREMOVE cannot fail: no thread is in an enclave that is not initialised.
/// </para>
/// </remarks>
public static class PassingPages
{
    private const int PageSize = 4096;

    /// <summary>Adds, measures and removes consecutive pages of the same contents.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="sourcePage">Contents of each page, 4,096 bytes.</param>
    /// <param name="secInfo">Their type, PT_REG or PT_TCS, and permissions.</param>
    /// <param name="linearAddress">Where the enclave has the first.</param>
    /// <param name="count">Number of pages.</param>
    /// <param name="measuredChunks">Bit i: EEXTEND of the 256 bytes at offset 256·i of each page.</param>
    /// <param name="secsPage">EPC page of the enclave's SECS.</param>
    /// <param name="epcPage">The EPC page that they pass through: not in use, before and afterwards.</param>
    /// <param name="done">Number of pages that were added; those before the one that faulted.</param>
    /// <returns>Success, #GP(0) or #PF, as of the EADD that ends it.</returns>
    public static LeafResult Execute(
        SgxProcessor processor,
        ReadOnlySpan<byte> sourcePage,
        in SecInfo secInfo,
        ulong linearAddress,
        ulong count,
        ushort measuredChunks,
        int secsPage,
        int epcPage,
        out ulong done)
    {
        ArgumentNullException.ThrowIfNull(processor);
        ArgumentOutOfRangeException.ThrowIfNotEqual(sourcePage.Length, PageSize);
        Epcm epcm = processor.Epcm;
        SecInfo scratch = secInfo;
        done = 0;

        LeafResult operands = EAdd.CheckOperands(processor, in scratch, linearAddress, secsPage, epcPage);
        if (!operands.IsSuccess) return operands;
        if (!epcm.TryLockExclusive(epcPage)) return LeafResult.GeneralProtection;
        try
        {
            if (epcm.IsValid(epcPage)) return EnclsChecks.PageFault(epcPage);
            if (!epcm.TryLockShared(secsPage)) return LeafResult.GeneralProtection;
            try
            {
                return Pass(processor, sourcePage, ref scratch, linearAddress, count, measuredChunks, secsPage, epcPage, ref done);
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

    private static LeafResult Pass(
        SgxProcessor processor,
        ReadOnlySpan<byte> sourcePage,
        ref SecInfo secInfo,
        ulong linearAddress,
        ulong count,
        ushort measuredChunks,
        int secsPage,
        int epcPage,
        ref ulong done)
    {
        if (!EnclsChecks.IsSecs(processor.Epcm, secsPage)) return EnclsChecks.PageFault(secsPage);

        ref readonly Secs secs = ref processor.SecsOf(secsPage);
        Span<byte> frame = processor.Frames.Frame(epcPage);
        if (measuredChunks != 0 || secInfo.PageType == PageType.PT_TCS)
        {
            // Contents of other pages are neither checked nor measured, and the page is gone before anybody could read them.
            sourcePage.CopyTo(frame);
        }

        if (!EAdd.IsPageAcceptable(in secs, in secInfo, frame)) return LeafResult.GeneralProtection;

        ulong offset = linearAddress - secs.BaseAddress;
        ulong inside = offset < secs.EnclaveSize ? Math.Min(count, (secs.EnclaveSize - offset) / PageSize) : 0;
        EnclaveState enclave = processor.StateOf(secsPage);
        if (inside > 0)
        {
            if (!enclave.TryBeginMeasuring()) return LeafResult.GeneralProtection;
            try
            {
                if (enclave.IsInitialized) return LeafResult.GeneralProtection;

                EAdd.ResetIfTcs(ref secInfo, frame);
                Measure(enclave.Measurement, offset, inside, in secInfo, measuredChunks, frame);
                done = inside;
            }
            finally
            {
                enclave.EndMeasuring();
            }
        }

        return inside == count ? LeafResult.Ok : LeafResult.GeneralProtection;
    }

    private static void Measure(
        Measurement measurement, ulong offset, ulong count, in SecInfo secInfo, ushort measuredChunks, ReadOnlySpan<byte> frame)
    {
        if (measuredChunks == 0)
        {
            measurement.AddRun(offset, count, in secInfo);
            return;
        }

        for (ulong end = offset + (count * PageSize); offset != end; offset += PageSize)
        {
            measurement.Add(offset, in secInfo);
            for (int left = measuredChunks; left != 0; left &= left - 1)
            {
                int chunk = BitOperations.TrailingZeroCount(left) * EExtend.ChunkLength;
                measurement.Extend(offset + (uint)chunk, frame[chunk..]);
            }
        }
    }
}
