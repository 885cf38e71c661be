using SoftSgx.Kernel;

namespace SoftSgx.Simulation;

/// <summary>
/// The inode of one opener, with every rule of <see cref="IEnclaveInode"/> checked: a page inserted twice, removed without being
/// there, published without being staged throws, for it is a bug of the kernel.
/// </summary>
/// <remarks>
/// With contents it knows the frame of every page. Without, there is nothing to know: which pages exist is the kernel's business, and
/// the checks of contents are off. Thread-safe.
/// </remarks>
public sealed class SimulatedInode : IEnclaveInode
{
    private readonly SimulatedEpc _epc;
    private readonly Dictionary<ulong, (int EpcPage, byte[] Frame)> _pages = [];
    private readonly HashSet<int> _staged = [];
    private readonly Lock _lock = new();
    private SimulatedAddressSpace[] _mappings = [];

    /// <summary>Makes an empty inode.</summary>
    /// <param name="epc">Where frames come from.</param>
    public SimulatedInode(SimulatedEpc epc)
    {
        ArgumentNullException.ThrowIfNull(epc);
        _epc = epc;
    }

    /// <summary>Size in bytes, once it is set.</summary>
    public ulong? Size { get; private set; }

    /// <summary>The enclave is gone.</summary>
    public bool IsDisposed { get; private set; }

    /// <summary>Pages in it, with contents.</summary>
    public int PageCount
    {
        get
        {
            lock (_lock)
            {
                return _pages.Count;
            }
        }
    }

    /// <inheritdoc/>
    public bool TrySetSize(ulong bytes)
    {
        Check(Size is null, "has a size already", 0);
        Size = bytes;
        return true;
    }

    /// <inheritdoc/>
    public void InsertPage(int epcPage, ulong offset)
    {
        Check(offset < Size, "is too small", offset);
        if (_epc.WithContents)
        {
            byte[] frame = _epc.NewFrame();
            _epc.Attach(epcPage, frame);
            Insert(epcPage, offset, frame);
        }
    }

    /// <inheritdoc/>
    public void RemovePage(int epcPage, ulong offset)
    {
        byte[]? frame = _epc.WithContents ? Take(epcPage, offset) : null;
        foreach (SimulatedAddressSpace mapping in Volatile.Read(ref _mappings))
        {
            mapping.Unmap(offset / EpcPool.PageSize);
        }

        if (frame is not null)
        {
            byte[] current = _epc.Detach(epcPage);
            _epc.Recycle(frame);
            if (current != frame)
            {
                _epc.Recycle(current); // the copy that Freeze made
            }
        }
    }

    /// <inheritdoc/>
    public void Freeze(int epcPage, ulong offset)
    {
        if (_epc.WithContents)
        {
            byte[] frame = FrameOf(epcPage, offset);
            foreach (SimulatedAddressSpace mapping in Volatile.Read(ref _mappings))
            {
                Check(mapping.IsZapped(offset / EpcPool.PageSize), "has a page to be frozen that an address space can still use", offset);
            }

            byte[] copy = _epc.NewFrame();
            frame.CopyTo(copy, 0);
            Check(_epc.Detach(epcPage) == frame, "has a frozen page", offset);
            _epc.Attach(epcPage, copy);
        }
    }

    /// <inheritdoc/>
    public void Thaw(int epcPage, ulong offset)
    {
        if (_epc.WithContents)
        {
            byte[] frame = FrameOf(epcPage, offset);
            byte[] copy = _epc.Detach(epcPage);
            Check(copy != frame, "has a page that is not frozen", offset);
            _epc.Recycle(copy);
            _epc.Attach(epcPage, frame);
        }
    }

    /// <inheritdoc/>
    public void Stage(int epcPage)
    {
        if (_epc.WithContents)
        {
            _epc.Attach(epcPage, _epc.NewFrame());
            lock (_lock)
            {
                Check(_staged.Add(epcPage), "has staged it already: EPC page", (ulong)epcPage);
            }
        }
    }

    /// <inheritdoc/>
    public void Publish(int epcPage, ulong offset, IEnclaveAddressSpace? faulting)
    {
        if (_epc.WithContents)
        {
            Unstaged(epcPage);
            byte[] staged = _epc.Detach(epcPage);
            byte[] frame = _epc.NewFrame();
            staged.CopyTo(frame, 0);
            _epc.Recycle(staged);
            _epc.Attach(epcPage, frame);
            Insert(epcPage, offset, frame);
        }

        (faulting as SimulatedAddressSpace)?.Map(offset / EpcPool.PageSize);
    }

    /// <inheritdoc/>
    public void Unstage(int epcPage)
    {
        if (_epc.WithContents)
        {
            Unstaged(epcPage);
            _epc.Recycle(_epc.Detach(epcPage));
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Check(!IsDisposed, "was disposed of already", 0);
        Check(_pages.Count == 0 && _staged.Count == 0, "still has pages", 0);
        IsDisposed = true;
    }

    /// <summary>An address space maps the inode.</summary>
    internal void AddMapping(SimulatedAddressSpace space)
    {
        lock (_lock)
        {
            _mappings = [.. _mappings, space];
        }
    }

    /// <summary>An address space maps it no longer.</summary>
    internal void RemoveMapping(SimulatedAddressSpace space)
    {
        lock (_lock)
        {
            _mappings = [.. _mappings.Where(mapping => mapping != space)];
        }
    }

    /// <summary>The frame of a page; <see langword="null"/> if it is not there, or pages have no contents.</summary>
    internal byte[]? TryFindFrame(ulong page)
    {
        lock (_lock)
        {
            return _pages.TryGetValue(page, out (int EpcPage, byte[] Frame) found) ? found.Frame : null;
        }
    }

    private void Insert(int epcPage, ulong offset, byte[] frame)
    {
        lock (_lock)
        {
            Check(_pages.TryAdd(offset / EpcPool.PageSize, (epcPage, frame)), "has a page already", offset);
        }
    }

    private byte[] Take(int epcPage, ulong offset)
    {
        byte[] frame = FrameOf(epcPage, offset);
        lock (_lock)
        {
            _pages.Remove(offset / EpcPool.PageSize);
        }

        return frame;
    }

    private byte[] FrameOf(int epcPage, ulong offset)
    {
        lock (_lock)
        {
            Check(_pages.TryGetValue(offset / EpcPool.PageSize, out (int EpcPage, byte[] Frame) page), "has no page", offset);
            Check(page.EpcPage == epcPage, "has another EPC page", offset);
            return page.Frame;
        }
    }

    private void Unstaged(int epcPage)
    {
        lock (_lock)
        {
            Check(_staged.Remove(epcPage), "has not staged it: EPC page", (ulong)epcPage);
        }
    }

    private static void Check(bool holds, string what, ulong where)
    {
        if (!holds)
        {
            throw new InvalidOperationException($"The inode {what} (0x{where:x}).");
        }
    }
}
