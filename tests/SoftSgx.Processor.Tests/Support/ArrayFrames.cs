namespace SoftSgx.Processor.Tests;

/// <summary>EPC contents in an array; a hook sees every access, so that a test can act in the middle of a leaf.</summary>
internal sealed class ArrayFrames(int pages) : IEpcFrames
{
    private readonly ulong[] _words = new ulong[pages * 512];

    public Action<int>? OnAccess { get; set; }

    public Span<byte> Frame(int page)
    {
        OnAccess?.Invoke(page);
        return System.Runtime.InteropServices.MemoryMarshal.AsBytes(_words.AsSpan(page * 512, 512));
    }
}
