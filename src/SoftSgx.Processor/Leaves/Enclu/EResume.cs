using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLU[ERESUME]: goes on with an enclave where an asynchronous exit left it.
/// SDM vol. 3D, ERESUME.
/// </summary>
public static class EResume
{
    /// <summary>The flags that come from the SSA frame; the others stay as they are outside.</summary>
    public const ulong RestoredFlags =
        Rflags.Arithmetic | Rflags.DF | Rflags.NT | Rflags.AC | Rflags.ID | Rflags.RF;

    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="logical">The logical processor, outside of enclaves.</param>
    /// <param name="registers">
    /// In: RBX TCS, RCX AEP. Out: the registers as they were at the asynchronous exit; with AEX-Notify as after EENTER.
    /// </param>
    /// <param name="space">The page tables.</param>
    /// <param name="xsave">
    /// The thread's standard-format XSAVE image; its components of XFRM are replaced by the ones saved, except with AEX-Notify.
    /// </param>
    /// <returns>Success, #GP(0) or #PF; registers and image are unchanged by a fault.</returns>
    public static LeafResult Execute(
        SgxProcessor processor,
        LogicalProcessor logical,
        ref RegisterFile registers,
        ILinearAddressSpace space,
        Span<byte> xsave) => Execute(processor, logical, ref registers, space, xsave, isLoaded: false);

    /// <summary>
    /// Takes note of an ERESUME that the host did itself, at a <see cref="ResumptionPoint"/>: the logical processor is inside, and the TCS
    /// as ERESUME leaves it. What the SSA frame holds is not looked at: it was loaded then, and the enclave may have changed it since.
    /// </summary>
    /// <param name="processor">The package.</param>
    /// <param name="logical">The logical processor, to the model still outside of enclaves.</param>
    /// <param name="registers">RBX, RCX, RSP, RBP, FS and GS as they were at the ENCLU.</param>
    /// <param name="space">The page tables.</param>
    /// <returns>Success, or the #GP(0) or #PF that the ERESUME would have been, had the model done it.</returns>
    public static LeafResult Adopt(SgxProcessor processor, LogicalProcessor logical, in RegisterFile registers, ILinearAddressSpace space)
    {
        RegisterFile unused = registers;
        return Execute(processor, logical, ref unused, space, default, isLoaded: true);
    }

    private static LeafResult Execute(
        SgxProcessor processor,
        LogicalProcessor logical,
        ref RegisterFile registers,
        ILinearAddressSpace space,
        Span<byte> xsave,
        bool isLoaded)
    {
        ArgumentNullException.ThrowIfNull(processor);
        ArgumentNullException.ThrowIfNull(logical);
        ArgumentNullException.ThrowIfNull(space);

        if (logical.InEnclave) return LeafResult.GeneralProtection;

        LeafResult found = EnclaveEntry.FindTcs(processor, in registers, space, out int tcsPage);
        if (!found.IsSuccess) return found;

        // Counting the thread in before anything is checked makes a concurrent EREMOVE, or an EWB after ETRACK, see it.
        EnclaveState enclave = processor.StateOf(processor.Epcm.EnclaveSecs(tcsPage));
        logical.EntryEpoch = enclave.ThreadEnters();
        try
        {
            return Resume(processor, logical, ref registers, space, xsave, tcsPage, isLoaded);
        }
        finally
        {
            if (!logical.InEnclave) enclave.ThreadLeaves(logical.EntryEpoch);
            processor.Epcm.UnlockShared(tcsPage);
        }
    }

    private static LeafResult Resume(
        SgxProcessor processor,
        LogicalProcessor logical,
        ref RegisterFile registers,
        ILinearAddressSpace space,
        Span<byte> xsave,
        int tcsPage,
        bool isLoaded)
    {
        int secsPage = processor.Epcm.EnclaveSecs(tcsPage);
        ref Tcs tcs = ref processor.TcsOf(tcsPage);
        ref readonly Secs secs = ref processor.SecsOf(secsPage);
        uint cssa = Volatile.Read(ref tcs.CSsa);

        if (!EnclaveEntry.IsStillTcs(processor, tcsPage)) return LeafResult.EpcmFault(registers.Rbx, PageFaultError.Write);
        if (!EnclaveEntry.IsAligned(in tcs)) return LeafResult.GeneralProtection;
        if (!EnclaveEntry.IsEnterable(processor.Configuration, in secs, in tcs)) return LeafResult.GeneralProtection;
        if (cssa == 0) return LeafResult.GeneralProtection;

        LeafResult ssa = EnclaveEntry.FindSsaFrame(
            processor, logical, space, secsPage, in secs, in tcs, cssa - 1, out int gprPage);
        if (!ssa.IsSuccess) return ssa;
        logical.UseSsaFrame(gprPage);

        GprSgx gpr = EnclaveEntry.GprOf(processor, logical);
        bool notify = !isLoaded && (tcs.Flags & TcsFlags.AEXNOTIFY) != 0 && (gpr.AexNotify & GprSgx.AexNotifyEnabled) != 0;
        if (notify)
        {
            if (cssa >= tcs.NSsa) return LeafResult.GeneralProtection;
            ssa = EnclaveEntry.FindSsaFrame(processor, logical, space, secsPage, in secs, in tcs, cssa, out gprPage);
            if (!ssa.IsSuccess) return ssa;
            logical.UseSsaFrame(gprPage);
        }

        ulong target = notify ? secs.BaseAddress + tcs.OEntry : gpr.Rip;
        ulong fsBase = notify ? secs.BaseAddress + tcs.OFsBase : gpr.FsBase;
        ulong gsBase = notify ? secs.BaseAddress + tcs.OGsBase : gpr.GsBase;
        if (!isLoaded)
        {
            if (!Canonical.IsCanonical(target)) return LeafResult.GeneralProtection;
            if (!Canonical.IsCanonical(fsBase)) return LeafResult.GeneralProtection;
            if (!Canonical.IsCanonical(gsBase)) return LeafResult.GeneralProtection;
        }

        if (!EnclaveEntry.TryActivate(ref tcs)) return LeafResult.GeneralProtection;

        // Another thread may have come and gone by this TCS since CSSA was read: then the frame found is not the current one.
        bool isCurrent = tcs.CSsa == cssa;
        if (!isCurrent || (!notify && !isLoaded && !SsaXsave.TryLoad(processor, logical, secs.Attributes.Xfrm, xsave)))
        {
            Volatile.Write(ref tcs.State, Tcs.Inactive);
            return LeafResult.GeneralProtection;
        }

        EnclaveEntry.Commit(processor, logical, ref registers, secsPage, in secs, tcsPage, ref tcs);
        if (notify)
        {
            Notify(ref registers, cssa, target, logical.DebugOptIn);
            logical.IsNotified = true;
        }
        else
        {
            Restore(ref registers, in gpr, logical.DebugOptIn);
            tcs.CSsa = cssa - 1;
        }

        registers.FsBase = fsBase;
        registers.GsBase = gsBase;
        return LeafResult.Ok;
    }

    /// <summary>
    /// AEX-Notify: the thread comes in by the entry point, as by EENTER, on the frame above the one that was saved. General and extended
    /// registers stay the host's: what the enclave had is in the SSA, untouched, until EDECCSSA brings its frame back.
    /// </summary>
    private static void Notify(ref RegisterFile registers, uint cssa, ulong target, bool debugOptIn)
    {
        registers.Rax = cssa;
        registers.Rcx = registers.Rip;
        registers.Rip = target;
        if (!debugOptIn) registers.Rflags &= ~Rflags.TF;
    }

    private static void Restore(ref RegisterFile registers, in GprSgx gpr, bool debugOptIn)
    {
        registers.Rax = gpr.Rax;
        registers.Rcx = gpr.Rcx;
        registers.Rdx = gpr.Rdx;
        registers.Rbx = gpr.Rbx;
        registers.Rsp = gpr.Rsp;
        registers.Rbp = gpr.Rbp;
        registers.Rsi = gpr.Rsi;
        registers.Rdi = gpr.Rdi;
        registers.R8 = gpr.R8;
        registers.R9 = gpr.R9;
        registers.R10 = gpr.R10;
        registers.R11 = gpr.R11;
        registers.R12 = gpr.R12;
        registers.R13 = gpr.R13;
        registers.R14 = gpr.R14;
        registers.R15 = gpr.R15;
        registers.Rip = gpr.Rip;
        registers.Rflags = (registers.Rflags & ~RestoredFlags) | (gpr.Rflags & RestoredFlags);
        if (!debugOptIn) registers.Rflags &= ~Rflags.TF;
    }
}
