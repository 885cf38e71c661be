namespace SoftSgx.Processor;

/// <summary>ENCLS[EEXTEND]</summary>
public static class EExtend
{
    /// <summary>Executes the leaf.</summary>
    public static LeafResult Execute(SgxProcessor processor, int secsPage, int epcPage, int offsetInPage) =>
        throw new NotImplementedException();
}
