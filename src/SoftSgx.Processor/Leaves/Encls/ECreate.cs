using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>ENCLS[ECREATE]</summary>
public static class ECreate
{
    /// <summary>Executes the leaf.</summary>
    public static LeafResult Execute(SgxProcessor processor, ReadOnlySpan<byte> sourceSecs, in SecInfo secInfo, ulong linearAddress, int epcPage) =>
        throw new NotImplementedException();
}
