namespace SoftSgx.Processor;

/// <summary>
/// Contents of the EPC's pages: the platform decides where the 4,096 bytes of a page live (a shared mapping, an array).
/// </summary>
public interface IEpcFrames
{
    /// <summary>The 4,096 bytes of EPC page <paramref name="page"/>, aligned to 8; valid until the page is removed.</summary>
    public Span<byte> Frame(int page);
}
