using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLU[EENTER]: enters an enclave at the entry point of a TCS.
/// SDM vol. 3D, EENTER.
/// </summary>
public static class EEnter
{
    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="logical">The logical processor, outside of enclaves.</param>
    /// <param name="registers">
    /// In: RBX TCS, RCX AEP, RIP the address after the ENCLU.
    /// Out: RAX CSSA, RCX the address after the ENCLU, RIP the entry point, FS and GS of the enclave, TF cleared unless opted in.
    /// </param>
    /// <param name="space">The page tables.</param>
    /// <returns>Success, #GP(0) or #PF; registers are unchanged by a fault.</returns>
    public static LeafResult Execute(
        SgxProcessor processor, LogicalProcessor logical, ref RegisterFile registers, ILinearAddressSpace space)
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
            return Enter(processor, logical, ref registers, space, tcsPage);
        }
        finally
        {
            if (!logical.InEnclave) enclave.ThreadLeaves(logical.EntryEpoch);
            processor.Epcm.UnlockShared(tcsPage);
        }
    }

    private static LeafResult Enter(
        SgxProcessor processor, LogicalProcessor logical, ref RegisterFile registers, ILinearAddressSpace space, int tcsPage)
    {
        int secsPage = processor.Epcm.EnclaveSecs(tcsPage);
        ref Tcs tcs = ref processor.TcsOf(tcsPage);
        ref readonly Secs secs = ref processor.SecsOf(secsPage);
        ulong fsBase = secs.BaseAddress + tcs.OFsBase;
        ulong gsBase = secs.BaseAddress + tcs.OGsBase;
        ulong target = secs.BaseAddress + tcs.OEntry;
        uint cssa = Volatile.Read(ref tcs.CSsa);

        if (!EnclaveEntry.IsStillTcs(processor, tcsPage)) return LeafResult.EpcmFault(registers.Rbx, PageFaultError.Write);
        if (!EnclaveEntry.IsAligned(in tcs)) return LeafResult.GeneralProtection;
        if (!EnclaveEntry.IsEnterable(processor.Configuration, in secs, in tcs)) return LeafResult.GeneralProtection;
        if (cssa >= tcs.NSsa) return LeafResult.GeneralProtection;

        LeafResult ssa = EnclaveEntry.FindSsaFrame(processor, logical, space, secsPage, in secs, in tcs, cssa, out int gprPage);
        if (!ssa.IsSuccess) return ssa;
        logical.UseSsaFrame(gprPage);
        if (!Canonical.IsCanonical(target)) return LeafResult.GeneralProtection;
        if (!Canonical.IsCanonical(fsBase)) return LeafResult.GeneralProtection;
        if (!Canonical.IsCanonical(gsBase)) return LeafResult.GeneralProtection;
        if (!EnclaveEntry.TryActivate(ref tcs)) return LeafResult.GeneralProtection;

        // Another thread may have come and gone by this TCS since CSSA was read: then the frame found is not the current one.
        if (tcs.CSsa != cssa)
        {
            Volatile.Write(ref tcs.State, Tcs.Inactive);
            return LeafResult.GeneralProtection;
        }

        EnclaveEntry.Commit(processor, logical, ref registers, secsPage, in secs, tcsPage, ref tcs);
        registers.Rax = cssa;
        registers.Rcx = registers.Rip;
        registers.Rip = target;
        registers.FsBase = fsBase;
        registers.GsBase = gsBase;
        if (!logical.DebugOptIn) registers.Rflags &= ~Rflags.TF;
        return LeafResult.Ok;
    }
}
