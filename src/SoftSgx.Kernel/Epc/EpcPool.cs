using SoftSgx.Architecture;

namespace SoftSgx.Kernel;

/// <summary>
/// The Enclave Page Cache as the kernel hands it out: a bounded pool of pages on NUMA nodes, each free, in use as one page type, or
/// lost to a memory failure. The counterpart of the page allocator in arch/x86/kernel/cpu/sgx/main.c.
/// </summary>
/// <remarks>
/// The free pages of a node are a list threaded through one array, last in, first out; taking and returning a page allocates
/// nothing. Thread-safe; its lock is the innermost one.
/// </remarks>
public sealed class EpcPool
{
    /// <summary>Size of an EPC page in bytes.</summary>
    public const int PageSize = 4096;

    private const byte FreeMark = 0xFF;
    private const byte WithheldMark = 0xFE;
    private const byte PoisonFlag = 0x80;

    private readonly Lock _lock = new();
    private readonly EpcLayout _layout;
    private readonly int[] _nextFree;
    private readonly byte[] _use; // page type, with PoisonFlag if the page is to be withheld when it is returned; or a mark
    private readonly int[] _used = new int[(int)PageType.PT_SS_REST + 1];
    private readonly int[] _firstFree; // by node
    private readonly int[] _freeOfNode;
    private int _free;
    private int _withheld;
    private int _peakUsed;

    /// <summary>Makes a pool of free pages, all of them on node 0.</summary>
    /// <param name="pages">Number of EPC pages, at least 1. They have the indexes 0 to <paramref name="pages"/> − 1.</param>
    public EpcPool(int pages)
        : this(new EpcLayout((pages, 0)), new EpcPageLinks(pages))
    {
    }

    internal EpcPool(EpcLayout layout, EpcPageLinks links)
    {
        _layout = layout;
        _nextFree = links.Next;
        _use = new byte[layout.Pages];
        _use.AsSpan().Fill(FreeMark);
        _firstFree = new int[layout.NodeCount];
        _firstFree.AsSpan().Fill(EpcPageLinks.None);
        _freeOfNode = new int[layout.NodeCount];
        foreach (EpcRange section in layout.Sections)
        {
            // Backwards, so that the first page of the section becomes the first of the list.
            for (int page = section.FirstPage + section.Pages - 1; page >= section.FirstPage; page--)
            {
                Push(section.Node, page);
            }
        }

    }

    /// <summary>All pages, free and used.</summary>
    public int Total => _use.Length;

    /// <summary>Pages that nobody uses and that can be handed out.</summary>
    public int Free => Volatile.Read(ref _free);

    /// <summary>Pages in use.</summary>
    public int Used => Total - Free - Withheld;

    /// <summary>The most pages that were in use at one time.</summary>
    public int PeakUsed => Volatile.Read(ref _peakUsed);

    /// <summary>Pages that are never handed out: poisoned ones, and any that could not be sanitised.</summary>
    public int Withheld => Volatile.Read(ref _withheld);

    /// <summary>Bytes of EPC on a NUMA node: what Linux exports as x86/sgx_total_bytes of the node.</summary>
    /// <param name="node">Number of the node.</param>
    /// <returns>0 for a node that has none.</returns>
    public ulong TotalBytes(int node)
    {
        ulong bytes = 0;
        foreach (EpcRange section in _layout.Sections)
        {
            bytes += section.Node == node ? (ulong)section.Pages * PageSize : 0;
        }

        return bytes;
    }

    /// <summary>Pages in use as one type.</summary>
    /// <param name="type">PT_SECS, PT_TCS, PT_REG, PT_VA …</param>
    /// <returns>Their number.</returns>
    public int CountOf(PageType type)
    {
        lock (_lock)
        {
            return (int)type < _used.Length ? _used[(int)type] : 0;
        }
    }

    /// <summary>Takes a free page, from the local node if it has one, else from the others in turn.</summary>
    /// <param name="type">What the page will be used as.</param>
    /// <param name="page">Its index, or −1.</param>
    /// <param name="node">The local NUMA node.</param>
    /// <returns><see langword="false"/> if no page is free.</returns>
    public bool TryAllocate(PageType type, out int page, int node = 0)
    {
        lock (_lock)
        {
            page = EpcPageLinks.None;
            if (_free == 0)
            {
                return false;
            }

            // A node without EPC, or one that is not known here, starts the round at the first.
            int from = (uint)node < (uint)_firstFree.Length ? node : 0;
            while (_firstFree[from] == EpcPageLinks.None)
            {
                from = from + 1 < _firstFree.Length ? from + 1 : 0;
            }

            page = _firstFree[from];
            _firstFree[from] = _nextFree[page];
            _freeOfNode[from]--;
            _use[page] = (byte)type;
            _used[(int)type]++;
            _free--;
            _peakUsed = Math.Max(_peakUsed, Used);
            return true;
        }
    }

    /// <summary>Returns a page that <see cref="TryAllocate"/> gave. Its EPCM entry must be invalid by now.</summary>
    /// <param name="page">Index of the page.</param>
    /// <exception cref="InvalidOperationException">The page is free already: a bug of the caller.</exception>
    public void Return(int page)
    {
        lock (_lock)
        {
            byte use = _use[page];
            if (use is FreeMark or WithheldMark)
            {
                throw new InvalidOperationException($"EPC page {page} was freed twice.");
            }

            _used[use & ~PoisonFlag]--;
            if ((use & PoisonFlag) != 0)
            {
                _use[page] = WithheldMark;
                _withheld++;
                return;
            }

            _use[page] = FreeMark;
            Push(NodeOf(page), page);
        }
    }

    /// <summary>Free pages of a NUMA node.</summary>
    internal int FreeOf(int node) => (uint)node < (uint)_freeOfNode.Length ? Volatile.Read(ref _freeOfNode[node]) : 0;

    /// <summary>The page suffered a memory failure: it is withheld now, or when its user returns it.</summary>
    /// <returns>True if it is in use.</returns>
    internal bool Poison(int page)
    {
        lock (_lock)
        {
            switch (_use[page])
            {
                case WithheldMark:
                    return false;

                case FreeMark:
                    Unlink(page);
                    _use[page] = WithheldMark;
                    _withheld++;
                    return false;

                default:
                    _use[page] |= PoisonFlag;
                    return true;
            }
        }
    }

    /// <summary>The page is in use and poisoned.</summary>
    internal bool IsPoisoned(int page)
    {
        byte use = Volatile.Read(ref _use[page]);
        return use is not (FreeMark or WithheldMark) && (use & PoisonFlag) != 0;
    }

    private int NodeOf(int page)
    {
        foreach (EpcRange section in _layout.Sections)
        {
            if (page < section.FirstPage + section.Pages)
            {
                return section.Node;
            }
        }

        throw new ArgumentOutOfRangeException(nameof(page));
    }

    private void Push(int node, int page)
    {
        _nextFree[page] = _firstFree[node];
        _firstFree[node] = page;
        _freeOfNode[node]++;
        _free++;
    }

    // Takes a free page out of the middle of its list. A memory failure is rare enough to walk.
    private void Unlink(int page)
    {
        int node = NodeOf(page);
        ref int link = ref _firstFree[node];
        while (link != page)
        {
            link = ref _nextFree[link];
        }

        link = _nextFree[page];
        _freeOfNode[node]--;
        _free--;
    }
}
