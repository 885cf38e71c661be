using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLU[EDECCSSA]: goes back one SSA frame without leaving the enclave: how a handler that AEX-Notify started ends.
/// SDM vol. 3D, EDECCSSA.
/// </summary>
public static class EDecCssa
{
    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="logical">The logical processor, inside an enclave.</param>
    /// <param name="registers">Its registers; none is read or changed.</param>
    /// <param name="space">The page tables.</param>
    /// <returns>Success, #GP(0) or #PF.</returns>
    public static LeafResult Execute(
        SgxProcessor processor, LogicalProcessor logical, ref RegisterFile registers, ILinearAddressSpace space)
    {
        ArgumentNullException.ThrowIfNull(processor);
        ArgumentNullException.ThrowIfNull(logical);
        ArgumentNullException.ThrowIfNull(space);
        Epcm epcm = processor.Epcm;

        if (!logical.InEnclave) return LeafResult.GeneralProtection;
        if (!epcm.TryLockShared(logical.ActiveTcs)) return LeafResult.GeneralProtection;
        try
        {
            ref Tcs tcs = ref processor.TcsOf(logical.ActiveTcs);
            ref readonly Secs secs = ref processor.SecsOf(logical.ActiveSecs);
            uint cssa = tcs.CSsa;

            if (cssa == 0) return LeafResult.GeneralProtection;

            LeafResult ssa = EnclaveEntry.FindSsaFrame(
                processor, logical, space, logical.ActiveSecs, in secs, in tcs, cssa - 1, out int gprPage);
            if (!ssa.IsSuccess) return ssa;

            logical.UseSsaFrame(gprPage);
            Volatile.Write(ref tcs.CSsa, cssa - 1);
            return LeafResult.Ok;
        }
        finally
        {
            epcm.UnlockShared(logical.ActiveTcs);
        }
    }
}
