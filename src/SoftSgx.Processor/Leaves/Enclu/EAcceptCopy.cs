namespace SoftSgx.Processor;

/// <summary>
/// ENCLU[EACCEPTCOPY]: todo.
/// SDM vol. 3D, EACCEPTCOPY.
/// </summary>
public static class EAcceptCopy
{
    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="logical">The logical processor, inside an enclave.</param>
    /// <param name="registers">The registers.</param>
    /// <param name="space">The page tables.</param>
    public static LeafResult Execute(SgxProcessor processor, LogicalProcessor logical, ref RegisterFile registers, ILinearAddressSpace space)
    {
        return LeafResult.GeneralProtection;
    }
}
