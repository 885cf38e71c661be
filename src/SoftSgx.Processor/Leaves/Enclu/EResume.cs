namespace SoftSgx.Processor;

/// <summary>ENCLU[ERESUME]</summary>
public static class EResume
{
    /// <summary>Executes the leaf.</summary>
    public static LeafResult Execute(SgxProcessor processor, LogicalProcessor logical, ref RegisterFile registers, ILinearAddressSpace space, Span<byte> xsave) =>
        throw new NotImplementedException();
}
