namespace SoftSgx.Processor;

/// <summary>ENCLU[EGETKEY]</summary>
public static class EGetKey
{
    /// <summary>Executes the leaf.</summary>
    public static LeafResult Execute(SgxProcessor processor, LogicalProcessor logical, ref RegisterFile registers, ILinearAddressSpace space) =>
        throw new NotImplementedException();
}
