namespace SoftSgx.Processor;

/// <summary>ENCLU[EENTER]</summary>
public static class EEnter
{
    /// <summary>Executes the leaf.</summary>
    public static LeafResult Execute(SgxProcessor processor, LogicalProcessor logical, ref RegisterFile registers, ILinearAddressSpace space) =>
        throw new NotImplementedException();
}
