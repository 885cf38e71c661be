namespace SoftSgx.Processor;

/// <summary>ENCLU[EEXIT]</summary>
public static class EExit
{
    /// <summary>Executes the leaf.</summary>
    public static LeafResult Execute(SgxProcessor processor, LogicalProcessor logical, ref RegisterFile registers) =>
        throw new NotImplementedException();
}
