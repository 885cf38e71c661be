namespace SoftSgx.Processor;

/// <summary>ENCLS[EINIT]</summary>
public static class EInit
{
    /// <summary>Executes the leaf.</summary>
    public static LeafResult Execute(SgxProcessor processor, LogicalProcessor logical, ReadOnlySpan<byte> sigStruct, int secsPage, ReadOnlySpan<byte> einitToken) =>
        throw new NotImplementedException();
}
