namespace SoftSgx.Processor;

/// <summary>ENCLS[EREMOVE]</summary>
public static class ERemove
{
    /// <summary>Executes the leaf.</summary>
    public static LeafResult Execute(SgxProcessor processor, int epcPage) =>
        throw new NotImplementedException();
}
