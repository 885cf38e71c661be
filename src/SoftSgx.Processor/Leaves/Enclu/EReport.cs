namespace SoftSgx.Processor;

/// <summary>ENCLU[EREPORT]</summary>
public static class EReport
{
    /// <summary>Executes the leaf.</summary>
    public static LeafResult Execute(SgxProcessor processor, LogicalProcessor logical, ref RegisterFile registers, ILinearAddressSpace space) =>
        throw new NotImplementedException();
}
