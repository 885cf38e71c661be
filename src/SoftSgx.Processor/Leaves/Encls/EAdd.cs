using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>ENCLS[EADD]</summary>
public static class EAdd
{
    /// <summary>Executes the leaf.</summary>
    public static LeafResult Execute(SgxProcessor processor, ReadOnlySpan<byte> sourcePage, in SecInfo secInfo, ulong linearAddress, int secsPage, int epcPage) =>
        throw new NotImplementedException();
}
