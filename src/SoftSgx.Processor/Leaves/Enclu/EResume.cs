using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLU[ERESUME]: goes on with an enclave where an asynchronous exit left it.
/// SDM vol. 3D, ERESUME.
/// </summary>
public static class EResume
{
    private const ulong RestoredFlags =
        Rflags.Arithmetic | Rflags.DF | Rflags.NT | Rflags.AC | Rflags.ID | Rflags.RF;

    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="logical">The logical processor, outside of enclaves.</param>
    /// <param name="registers">In: RBX TCS, RCX AEP. Out: the registers as they were at the asynchronous exit.</param>
    /// <param name="space">The page tables.</param>
    /// <param name="xsave">The thread's standard-format XSAVE image; its components of XFRM are replaced by the ones saved.</param>
    /// <returns>Success, #GP(0) or #PF; registers and image are unchanged by a fault.</returns>
    public static LeafResult Execute(
        SgxProcessor processor,
        LogicalProcessor logical,
        ref RegisterFile registers,
        ILinearAddressSpace space,
        Span<byte> xsave)
    {
        ArgumentNullException.ThrowIfNull(processor);
        ArgumentNullException.ThrowIfNull(logical);
        ArgumentNullException.ThrowIfNull(space);

        if (logical.InEnclave) return LeafResult.GeneralProtection;

        LeafResult found = EnclaveEntry.FindTcs(processor, in registers, space, out int tcsPage);
        if (!found.IsSuccess) return found;

        // Counting the thread in before anything is checked makes a concurrent EREMOVE of a page see it.
        EnclaveState enclave = processor.StateOf(processor.Epcm.EnclaveSecs(tcsPage));
        enclave.ThreadEnters();
        try
        {
            return Resume(processor, logical, ref registers, space, xsave, tcsPage);
        }
        finally
        {
            if (!logical.InEnclave) enclave.ThreadLeaves();
            processor.Epcm.UnlockShared(tcsPage);
        }
    }

    private static LeafResult Resume(
        SgxProcessor processor,
        LogicalProcessor logical,
        ref RegisterFile registers,
        ILinearAddressSpace space,
        Span<byte> xsave,
        int tcsPage)
    {
        int secsPage = processor.Epcm.EnclaveSecs(tcsPage);
        ref Tcs tcs = ref processor.TcsOf(tcsPage);
        ref readonly Secs secs = ref processor.SecsOf(secsPage);
        uint cssa = Volatile.Read(ref tcs.CSsa);

        if (!EnclaveEntry.IsAligned(in tcs)) return LeafResult.GeneralProtection;
        if (!EnclaveEntry.IsEnterable(processor.Configuration, in secs, in tcs)) return LeafResult.GeneralProtection;
        if (cssa == 0) return LeafResult.GeneralProtection;

        LeafResult ssa = EnclaveEntry.FindSsaFrame(processor, logical, space, secsPage, in secs, in tcs, cssa - 1);
        if (!ssa.IsSuccess) return ssa;

        GprSgx gpr = EnclaveEntry.GprOf(processor, logical);
        if (!Canonical.IsCanonical(gpr.Rip)) return LeafResult.GeneralProtection;
        if (!Canonical.IsCanonical(gpr.FsBase)) return LeafResult.GeneralProtection;
        if (!Canonical.IsCanonical(gpr.GsBase)) return LeafResult.GeneralProtection;
        if (!EnclaveEntry.TryActivate(ref tcs)) return LeafResult.GeneralProtection;

        // Another thread may have come and gone by this TCS since CSSA was read: then the frame found is not the current one.
        if (tcs.CSsa != cssa || !SsaXsave.TryLoad(processor, logical, secs.Attributes.Xfrm, xsave))
        {
            Volatile.Write(ref tcs.State, Tcs.Inactive);
            return LeafResult.GeneralProtection;
        }

        EnclaveEntry.Commit(processor, logical, ref registers, secsPage, in secs, tcsPage, ref tcs);
        Restore(ref registers, in gpr, logical.DebugOptIn);
        tcs.CSsa = cssa - 1;
        return LeafResult.Ok;
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
        registers.FsBase = gpr.FsBase;
        registers.GsBase = gpr.GsBase;
        registers.Rflags = (registers.Rflags & ~RestoredFlags) | (gpr.Rflags & RestoredFlags);
        if (!debugOptIn) registers.Rflags &= ~Rflags.TF;
    }
}
