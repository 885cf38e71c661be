using SoftSgx.Kernel;

namespace SoftSgx.Simulation;

/// <summary>A sparse backing file in memory, byte for byte.</summary>
/// <param name="epc">Counts what it holds.</param>
public sealed class MemoryBackingFile(SimulatedEpc epc) : IBackingFile
{
    private readonly Dictionary<ulong, byte[]> _pages = [];
    private readonly Stack<byte[]> _idle = new();

    /// <summary>Pages that hold memory.</summary>
    public int PageCount => _pages.Count;

    /// <inheritdoc/>
    public bool TryWrite(ulong offset, ReadOnlySpan<byte> data)
    {
        if (!_pages.TryGetValue(offset / EpcPool.PageSize, out byte[]? page))
        {
            if (!_idle.TryPop(out page))
            {
                page = new byte[EpcPool.PageSize];
            }

            _pages.Add(offset / EpcPool.PageSize, page);
            epc.AddBackingBytes(EpcPool.PageSize);
        }

        data.CopyTo(page.AsSpan((int)(offset % EpcPool.PageSize)));
        return true;
    }

    /// <inheritdoc/>
    public bool TryRead(ulong offset, Span<byte> destination)
    {
        int at = (int)(offset % EpcPool.PageSize);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(at + destination.Length, EpcPool.PageSize);
        if (_pages.TryGetValue(offset / EpcPool.PageSize, out byte[]? page))
        {
            page.AsSpan(at, destination.Length).CopyTo(destination);
        }
        else
        {
            destination.Clear();
        }

        return true;
    }

    /// <inheritdoc/>
    public void Truncate(ulong offset, ulong length)
    {
        for (ulong at = 0; at < length; at += EpcPool.PageSize)
        {
            if (_pages.Remove((offset + at) / EpcPool.PageSize, out byte[]? page))
            {
                Array.Clear(page);
                _idle.Push(page);
                epc.AddBackingBytes(-EpcPool.PageSize);
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        epc.AddBackingBytes(-(long)EpcPool.PageSize * _pages.Count);
        _pages.Clear();
    }
}
