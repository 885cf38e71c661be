using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[EADD]: copies a page into the EPC and makes it part of an enclave that is being built.
/// SDM vol. 3D, EADD.
/// </summary>
public static class EAdd
{
    private const int PageSize = 4096;
    private const ulong PageMask = PageSize - 1;
    private const uint LimitMask = 0xFFF;

    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="sourcePage">PAGEINFO.SRCPGE: the page's contents, 4,096 bytes.</param>
    /// <param name="secInfo">PAGEINFO.SECINFO: its type, PT_REG or PT_TCS, and permissions.</param>
    /// <param name="linearAddress">PAGEINFO.LINADDR: where the enclave has it.</param>
    /// <param name="secsPage">PAGEINFO.SECS: EPC page of the enclave's SECS.</param>
    /// <param name="epcPage">RCX: the EPC page.</param>
    /// <returns>Success, #GP(0) or #PF.</returns>
    public static LeafResult Execute(
        SgxProcessor processor, ReadOnlySpan<byte> sourcePage, in SecInfo secInfo, ulong linearAddress, int secsPage, int epcPage)
    {
        ArgumentNullException.ThrowIfNull(processor);
        ArgumentOutOfRangeException.ThrowIfNotEqual(sourcePage.Length, PageSize);
        Epcm epcm = processor.Epcm;
        SecInfo scratch = secInfo;

        LeafResult operands = CheckOperands(processor, in scratch, linearAddress, secsPage, epcPage);
        if (!operands.IsSuccess) return operands;
        if (!epcm.TryLockExclusive(epcPage)) return LeafResult.GeneralProtection;
        try
        {
            if (epcm.IsValid(epcPage)) return EnclsChecks.PageFault(epcPage);
            if (!epcm.TryLockShared(secsPage)) return LeafResult.GeneralProtection;
            try
            {
                return AddTo(processor, sourcePage, ref scratch, linearAddress, secsPage, epcPage);
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

    /// <summary>What is checked before any EPC page is touched.</summary>
    internal static LeafResult CheckOperands(
        SgxProcessor processor, in SecInfo secInfo, ulong linearAddress, int secsPage, int epcPage)
    {
        if (EnclsChecks.IsMissing(processor.Configuration, LeafFeature.SGX1, out LeafResult missing)) return missing;
        if (!processor.Epcm.Contains(epcPage)) return EnclsChecks.PageFault(epcPage);
        if ((linearAddress & PageMask) != 0) return LeafResult.GeneralProtection;
        if (!processor.Epcm.Contains(secsPage)) return EnclsChecks.PageFault(secsPage);
        if (!EnclsChecks.IsReservedZero(processor.Configuration, in secInfo)) return LeafResult.GeneralProtection;
        if (secInfo.PageType is not (PageType.PT_REG or PageType.PT_TCS)) return LeafResult.GeneralProtection;
        return LeafResult.Ok;
    }

    private static LeafResult AddTo(
        SgxProcessor processor,
        ReadOnlySpan<byte> sourcePage,
        ref SecInfo secInfo,
        ulong linearAddress,
        int secsPage,
        int epcPage)
    {
        if (!EnclsChecks.IsSecs(processor.Epcm, secsPage)) return EnclsChecks.PageFault(secsPage);

        ref readonly Secs secs = ref processor.SecsOf(secsPage);
        Span<byte> frame = processor.Frames.Frame(epcPage);
        sourcePage.CopyTo(frame);

        if (!IsPageAcceptable(in secs, in secInfo, frame)) return LeafResult.GeneralProtection;
        if (linearAddress - secs.BaseAddress >= secs.EnclaveSize) return LeafResult.GeneralProtection;

        EnclaveState enclave = processor.StateOf(secsPage);
        if (!enclave.TryBeginMeasuring()) return LeafResult.GeneralProtection;
        try
        {
            if (enclave.IsInitialized) return LeafResult.GeneralProtection;

            ResetIfTcs(ref secInfo, frame);
            enclave.Measurement.Add(linearAddress - secs.BaseAddress, in secInfo);
            enclave.AddChild();
            processor.Epcm.Set(epcPage, secInfo.PageType, secInfo.Permissions, linearAddress, secsPage);
            return LeafResult.Ok;
        }
        finally
        {
            enclave.EndMeasuring();
        }
    }

    /// <summary>The checks of a page that do not depend on where it goes. SECINFO is well-formed and of type PT_REG or PT_TCS.</summary>
    internal static bool IsPageAcceptable(in Secs secs, in SecInfo secInfo, ReadOnlySpan<byte> page)
    {
        bool isTcs = secInfo.PageType == PageType.PT_TCS;

        if (isTcs && !IsTcsAcceptable(in secs, in MemoryMarshal.AsRef<Tcs>(page))) return false;
        if (!isTcs && secInfo.IsWriteOnly) return false;
        return true;
    }

    /// <summary>What EADD makes of a TCS before it is measured: no permissions, idle, not debugged. Other pages stay as they are.</summary>
    /// <param name="secInfo">The page's type and permissions.</param>
    /// <param name="page">Its contents, 4,096 bytes.</param>
    public static void ResetIfTcs(ref SecInfo secInfo, Span<byte> page)
    {
        if (secInfo.PageType == PageType.PT_TCS)
        {
            secInfo.Flags &= ~SecInfoFlags.RWX;
            ResetTcs(ref MemoryMarshal.AsRef<Tcs>(page));
        }
    }

    /// <summary>True if a page can be a TCS of that enclave. Without CET its fields are reserved.</summary>
    internal static bool IsTcsAcceptable(in Secs secs, in Tcs tcs)
    {
        bool mode64 = (secs.Attributes.Flags & AttributeFlags.MODE64BIT) != 0;

        if (!Bytes.IsZero(in tcs.Reserved)) return false;
        if (tcs.OCetSsa != 0) return false;
        if (tcs.PrevSsp != 0) return false;
        if (!mode64 && (tcs.FsLimit & LimitMask) != LimitMask) return false;
        if (!mode64 && (tcs.GsLimit & LimitMask) != LimitMask) return false;
        return true;
    }

    private static void ResetTcs(ref Tcs tcs)
    {
        tcs.Flags &= ~TcsFlags.DBGOPTIN;
        tcs.CSsa = 0;
        tcs.Aep = 0;
        tcs.State = Tcs.Inactive;
    }
}
