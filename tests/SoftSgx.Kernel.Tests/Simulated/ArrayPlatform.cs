namespace SoftSgx.Kernel.Tests;

/// <summary>EPC frames in arrays. Every misuse by the kernel, such as a frame given twice, throws.</summary>
internal sealed class ArrayPlatform(int pages) : IEpcPlatform
{
    private readonly byte[]?[] _frames = new byte[pages][];

    /// <summary>Pages that have a frame, private ones and those in inodes.</summary>
    public int FrameCount => _frames.Count(frame => frame is not null);

    public Span<byte> Frame(int page) => _frames[page] ?? throw new InvalidOperationException($"page {page} has no frame");

    public void AttachPrivate(int epcPage) => Attach(epcPage);

    public void DetachPrivate(int epcPage) => Detach(epcPage);

    public void Attach(int epcPage)
    {
        if (_frames[epcPage] is not null)
        {
            throw new InvalidOperationException($"page {epcPage} has a frame already");
        }

        // "Undefined" contents: whoever relies on zeroes is found out.
        _frames[epcPage] = new byte[EpcPool.PageSize];
        _frames[epcPage].AsSpan().Fill(0xCC);
    }

    public void Detach(int epcPage)
    {
        _ = Frame(epcPage);
        _frames[epcPage] = null;
    }
}

/// <summary>The inode of one opener.</summary>
internal sealed class ArrayInode(ArrayPlatform platform) : IEnclaveInode
{
    private readonly Dictionary<ulong, int> _pages = [];

    public ulong? Size { get; private set; }

    public bool RefusesSize { get; set; }

    public int DisposeCount { get; private set; }

    public IReadOnlyDictionary<ulong, int> Pages => _pages;

    public bool TrySetSize(ulong bytes)
    {
        Assert.Null(Size);
        if (RefusesSize)
        {
            return false;
        }

        Size = bytes;
        return true;
    }

    public void InsertPage(int epcPage, ulong offset)
    {
        Assert.NotNull(Size);
        Assert.True(offset < Size);
        _pages.Add(offset, epcPage);
        platform.Attach(epcPage);
    }

    public void RemovePage(int epcPage, ulong offset)
    {
        Assert.Equal(epcPage, _pages[offset]);
        _pages.Remove(offset);
        platform.Detach(epcPage);
    }

    public void Dispose() => DisposeCount++;
}
