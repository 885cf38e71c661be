namespace SoftSgx.Processor;

/// <summary>
/// ENCLU[EEXIT]: leaves the enclave for an address outside.
/// SDM vol. 3D, EEXIT.
/// </summary>
public static class EExit
{
    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="logical">The logical processor, inside an enclave.</param>
    /// <param name="registers">In: RBX target. Out: RIP the target, RCX the AEP, FS, GS and TF of the host.</param>
    /// <returns>Success or #GP(0).</returns>
    public static LeafResult Execute(SgxProcessor processor, LogicalProcessor logical, ref RegisterFile registers)
    {
        ArgumentNullException.ThrowIfNull(processor);
        ArgumentNullException.ThrowIfNull(logical);

        if (!logical.InEnclave) return LeafResult.GeneralProtection;
        if (!Canonical.IsCanonical(registers.Rbx)) return LeafResult.GeneralProtection;

        registers.Rip = registers.Rbx;
        registers.Rcx = processor.TcsOf(logical.ActiveTcs).Aep;
        logical.LeaveEnclave(processor, ref registers);
        return LeafResult.Ok;
    }
}
