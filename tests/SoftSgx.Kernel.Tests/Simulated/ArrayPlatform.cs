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

    public IBackingFile? CreateBacking(ulong bytes) => RefusesBacking ? null : LastBacking = new ArrayBacking();

    /// <summary>There is no memory to swap to.</summary>
    public bool RefusesBacking { get; set; }

    /// <summary>The backing file made last.</summary>
    public ArrayBacking? LastBacking { get; private set; }

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
    private readonly HashSet<ulong> _frozen = [];
    private readonly HashSet<ulong> _copies = [];

    public ulong? Size { get; private set; }

    public bool RefusesSize { get; set; }

    public int DisposeCount { get; private set; }

    public IReadOnlyDictionary<ulong, int> Pages => _pages;

    /// <summary>Pages that were removed and are not gone yet: programs still read them.</summary>
    public IReadOnlySet<ulong> Copies => _copies;

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
        if (_frozen.Remove(offset))
        {
            _copies.Add(offset);
        }
    }

    public void CompleteRemovals() => _copies.Clear();

    public void Freeze(int epcPage, ulong offset)
    {
        Assert.Equal(epcPage, _pages[offset]);
        _frozen.Add(offset);
    }

    public void Thaw(int epcPage, ulong offset)
    {
        Assert.Equal(epcPage, _pages[offset]);
        _frozen.Remove(offset);
    }

    public void Stage(int epcPage) => platform.Attach(epcPage);

    public void Publish(int epcPage, ulong offset, IEnclaveAddressSpace? faulting) => _pages.Add(offset, epcPage);

    public void Unstage(int epcPage) => platform.Detach(epcPage);

    public void Dispose() => DisposeCount++;
}

/// <summary>A backing file of pages in a dictionary, which a test may change between the kernel's accesses.</summary>
internal sealed class ArrayBacking : IBackingFile
{
    /// <summary>Its pages by offset.</summary>
    public SortedDictionary<ulong, byte[]> Pages { get; } = [];

    /// <summary>There is no memory for new pages.</summary>
    public bool IsFull { get; set; }

    public bool IsDisposed { get; private set; }

    public bool TryWrite(ulong offset, ReadOnlySpan<byte> data)
    {
        ulong page = offset / 4096 * 4096;
        if (IsFull && !Pages.ContainsKey(page))
        {
            return false;
        }

        Pages.TryAdd(page, new byte[4096]);
        data.CopyTo(Pages[page].AsSpan((int)(offset - page)));
        return true;
    }

    public bool TryRead(ulong offset, Span<byte> destination)
    {
        ulong page = offset / 4096 * 4096;
        destination.Clear();
        if (Pages.TryGetValue(page, out byte[]? bytes))
        {
            bytes.AsSpan((int)(offset - page), destination.Length).CopyTo(destination);
        }

        return true;
    }

    public void Truncate(ulong offset, ulong length)
    {
        Assert.Equal(0UL, offset % 4096);
        for (ulong page = offset; page < offset + length; page += 4096)
        {
            Pages.Remove(page);
        }
    }

    public void Dispose() => IsDisposed = true;
}
