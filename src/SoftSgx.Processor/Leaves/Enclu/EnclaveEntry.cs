using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// What EENTER and ERESUME have in common: finding and checking the TCS and the SSA frame, taking the TCS, entering enclave mode.
/// SDM vol. 3D, EENTER and ERESUME.
/// </summary>
internal static class EnclaveEntry
{
    /// <summary>Offset in bytes of GPRSGX in the last page of an SSA frame.</summary>
    public const int GprOffset = PageSize - GprSgx.Size;

    private const int PageSize = 4096;
    private const ulong PageMask = PageSize - 1;

    /// <summary>
    /// Finds the TCS that RBX names and locks its EPCM entry, shared. The caller unlocks it if the result is a success.
    /// </summary>
    public static LeafResult FindTcs(
        SgxProcessor processor, in RegisterFile registers, ILinearAddressSpace space, out int tcsPage)
    {
        Epcm epcm = processor.Epcm;
        ulong address = registers.Rbx;
        tcsPage = -1;

        if ((address & PageMask) != 0) return LeafResult.GeneralProtection;
        if (!Canonical.IsCanonical(address)) return LeafResult.GeneralProtection;
        bool mapped = space.TryTranslate(address, AccessKind.Write, out tcsPage, out PageFaultError error);
        if (!mapped) return LeafResult.PageFault(address, error);
        if (!epcm.Contains(tcsPage)) return LeafResult.EpcmFault(address, PageFaultError.Write);
        if (!Canonical.IsCanonical(registers.Rcx)) return LeafResult.GeneralProtection;
        if (!epcm.TryLockShared(tcsPage)) return LeafResult.GeneralProtection;
        if (IsTcsPage(epcm, tcsPage, address)) return LeafResult.Ok;

        epcm.UnlockShared(tcsPage);
        return LeafResult.EpcmFault(address, PageFaultError.Write);
    }

    /// <summary>
    /// Looks at the TCS again when the entry has an epoch: whoever blocks the page from now on has to wait for this entry.
    /// </summary>
    public static bool IsStillTcs(SgxProcessor processor, int tcsPage) => processor.Epcm.IsAccessible(tcsPage);

    /// <summary>True if the alignments that a TCS must have are there.</summary>
    public static bool IsAligned(in Tcs tcs)
    {
        if ((tcs.OSsa & PageMask) != 0) return false;
        if ((tcs.OFsBase & PageMask) != 0) return false;
        if ((tcs.OGsBase & PageMask) != 0) return false;
        return true;
    }

    /// <summary>True if an enclave can be entered by that TCS on this processor, its SSA aside.</summary>
    public static bool IsEnterable(ProcessorConfiguration configuration, in Secs secs, in Tcs tcs)
    {
        TcsFlags known = configuration.AexNotify ? TcsFlags.DBGOPTIN | TcsFlags.AEXNOTIFY : TcsFlags.DBGOPTIN;
        bool threadIsNotified = (tcs.Flags & TcsFlags.AEXNOTIFY) != 0;
        bool enclaveIsNotified = (secs.Attributes.Flags & AttributeFlags.AEXNOTIFY) != 0;
        bool optIn = (tcs.Flags & TcsFlags.DBGOPTIN) != 0;

        if ((tcs.Flags & ~known) != 0) return false;
        if ((secs.Attributes.Flags & AttributeFlags.INIT) == 0) return false;
        if ((secs.Attributes.Flags & AttributeFlags.MODE64BIT) == 0) return false;
        if ((secs.Attributes.Xfrm & ~configuration.SettableXfrm) != 0) return false;
        if (!optIn && threadIsNotified != enclaveIsNotified) return false;
        return true;
    }

    /// <summary>
    /// Checks every page of SSA frame <paramref name="index"/> that an asynchronous exit would write,
    /// and stages them: <see cref="LogicalProcessor.UseSsaFrame"/> makes them CR_XSAVE_PAGE_n and CR_GPR_PA.
    /// </summary>
    public static LeafResult FindSsaFrame(
        SgxProcessor processor,
        LogicalProcessor logical,
        ILinearAddressSpace space,
        int secsPage,
        in Secs secs,
        in Tcs tcs,
        uint index,
        out int gprPage)
    {
        ulong frameSize = (ulong)secs.SsaFrameSize * PageSize;
        ulong frame = secs.BaseAddress + tcs.OSsa + (frameSize * index);
        int count = (processor.Configuration.XsaveLayout.SizeFor(secs.Attributes.Xfrm) + PageSize - 1) / PageSize;
        gprPage = -1;
        Span<int> pages = logical.StageXsavePages(count);

        for (int i = 0; i < count; i++)
        {
            LeafResult result = FindSsaPage(processor, space, secsPage, frame + ((ulong)i * PageSize), out pages[i]);
            if (!result.IsSuccess) return result;
        }

        gprPage = pages[0];
        if (secs.SsaFrameSize > 1)
        {
            LeafResult result = FindSsaPage(processor, space, secsPage, frame + frameSize - GprSgx.Size, out gprPage);
            if (!result.IsSuccess) return result;
        }

        return LeafResult.Ok;
    }

    /// <summary>What an entry by a TCS would do, of which all is checked that EENTER and ERESUME have in common.</summary>
    public delegate bool Description<T>(
        SgxProcessor processor, LogicalProcessor logical, ILinearAddressSpace space, int secsPage, in Secs secs, in Tcs tcs, out T description);

    /// <summary>
    /// Describes what entering by a TCS would do, for a logical processor outside of enclaves that asks; false if that would fault.
    /// Changes nothing.
    /// </summary>
    public static bool TryDescribe<T>(
        SgxProcessor processor, LogicalProcessor logical, ulong tcsAddress, ILinearAddressSpace space, Description<T> describe, out T description)
        where T : struct
    {
        ArgumentNullException.ThrowIfNull(processor);
        ArgumentNullException.ThrowIfNull(logical);
        ArgumentNullException.ThrowIfNull(space);

        description = default;
        RegisterFile registers = new() { Rbx = tcsAddress };
        if (logical.InEnclave || !FindTcs(processor, in registers, space, out int tcsPage).IsSuccess)
        {
            return false;
        }

        try
        {
            int secsPage = processor.Epcm.EnclaveSecs(tcsPage);
            ref readonly Tcs tcs = ref processor.TcsOf(tcsPage);
            ref readonly Secs secs = ref processor.SecsOf(secsPage);
            if (tcs.State == Tcs.Inactive
                && IsAligned(in tcs)
                && IsEnterable(processor.Configuration, in secs, in tcs)
                && describe(processor, logical, space, secsPage, in secs, in tcs, out T described))
            {
                description = described;
                return true;
            }

            return false;
        }
        finally
        {
            processor.Epcm.UnlockShared(tcsPage);
        }
    }

    /// <summary>Takes a TCS that nobody is using. The Interlocked exchange makes two entries by one TCS exclude each other.</summary>
    public static bool TryActivate(ref Tcs tcs) =>
        Interlocked.CompareExchange(ref tcs.State, Tcs.Active, Tcs.Inactive) == Tcs.Inactive;

    /// <summary>Enters enclave mode: sets the CR_ registers, and keeps AEP, RSP, RBP, FS, GS and TF of the host.</summary>
    public static void Commit(
        SgxProcessor processor,
        LogicalProcessor logical,
        ref RegisterFile registers,
        int secsPage,
        in Secs secs,
        int tcsPage,
        ref Tcs tcs)
    {
        logical.InEnclave = true;
        logical.ActiveSecs = secsPage;
        logical.EnclaveBase = secs.BaseAddress;
        logical.EnclaveSize = secs.EnclaveSize;
        logical.ActiveTcs = tcsPage;
        logical.TcsAddress = registers.Rbx;
        logical.Aep = registers.Rcx;
        tcs.Aep = registers.Rcx;
        logical.SavedFsBase = registers.FsBase;
        logical.SavedGsBase = registers.GsBase;
        logical.SavedTrapFlag = (registers.Rflags & Rflags.TF) != 0;
        logical.DebugOptIn = (tcs.Flags & TcsFlags.DBGOPTIN) != 0;
        logical.IsNotified = false;

        if (logical.KeepsStack)
        {
            return;
        }
        ref GprSgx gpr = ref GprOf(processor, logical);
        gpr.URsp = registers.Rsp;
        gpr.URbp = registers.Rbp;
    }

    /// <summary>
    /// GPRSGX of the current SSA frame, in enclave memory: other threads of the enclave may change it at any time.
    /// </summary>
    public static ref GprSgx GprOf(SgxProcessor processor, LogicalProcessor logical) =>
        ref MemoryMarshal.AsRef<GprSgx>(processor.Frames.Frame(logical.GprPage)[GprOffset..]);

    private static LeafResult FindSsaPage(
        SgxProcessor processor, ILinearAddressSpace space, int secsPage, ulong address, out int page)
    {
        Epcm epcm = processor.Epcm;

        bool mapped = space.TryTranslate(address, AccessKind.Write, out page, out PageFaultError error);
        if (!mapped) return LeafResult.PageFault(address, error);
        if (!epcm.Contains(page)) return LeafResult.EpcmFault(address, PageFaultError.Write);

        // SSA pages are not subject to conflicts; a leaf that holds the page finishes first.
        epcm.LockShared(page);
        bool usable = IsSsaPage(epcm, page, address, secsPage);
        epcm.UnlockShared(page);
        return usable ? LeafResult.Ok : LeafResult.EpcmFault(address, PageFaultError.Write);
    }

    private static bool IsTcsPage(Epcm epcm, int page, ulong address)
    {
        if (!epcm.IsAccessible(page)) return false;
        if (epcm.EnclaveAddress(page) != address) return false;
        if (epcm.TypeOf(page) != PageType.PT_TCS) return false;
        return true;
    }

    private static bool IsSsaPage(Epcm epcm, int page, ulong address, int secsPage)
    {
        const SecInfoFlags ReadWrite = SecInfoFlags.R | SecInfoFlags.W;

        if (!epcm.IsAccessible(page)) return false;
        if (epcm.EnclaveAddress(page) != (address & ~PageMask)) return false;
        if (epcm.TypeOf(page) != PageType.PT_REG) return false;
        if (epcm.EnclaveSecs(page) != secsPage) return false;
        if ((epcm.Permissions(page) & ReadWrite) != ReadWrite) return false;
        return true;
    }
}
