using SoftSgx.Architecture;

namespace SoftSgx.Kernel;

/// <summary>
/// The Enclave Page Cache as the kernel hands it out: a bounded pool of pages, each free or in use as one page type.
/// The counterpart of the page allocator in arch/x86/kernel/cpu/sgx/main.c.
/// </summary>
/// <remarks>
/// The free pages are a linked list threaded through one array, last in, first out; taking and returning a page allocates
/// nothing. Thread-safe; its lock is the innermost one.
/// </remarks>
public sealed class EpcPool
{
    /// <summary>Size of an EPC page in bytes.</summary>
    public const int PageSize = 4096;

    private const int EndOfList = -1;
    private const byte FreeMark = 0xFF;

    private readonly Lock _lock = new();
    private readonly int[] _nextFree;
    private readonly byte[] _use;
    private readonly int[] _used = new int[(int)PageType.PT_SS_REST + 1];
    private int _firstFree;
    private int _free;

    /// <summary>Makes a pool of free pages.</summary>
    /// <param name="pages">Number of EPC pages, at least 1. They have the indexes 0 to <paramref name="pages"/> − 1.</param>
    public EpcPool(int pages)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(pages, 1);
        _nextFree = new int[pages];
        _use = new byte[pages];
        _use.AsSpan().Fill(FreeMark);
        for (int page = 0; page < pages; page++)
        {
            _nextFree[page] = page + 1 < pages ? page + 1 : EndOfList;
        }

        _free = pages;
    }

    /// <summary>All pages, free and used.</summary>
    public int Total => _use.Length;

    /// <summary>Pages that nobody uses.</summary>
    public int Free => Volatile.Read(ref _free);

    /// <summary>Pages in use.</summary>
    public int Used => Total - Free;

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

    /// <summary>Takes a free page.</summary>
    /// <param name="type">What the page will be used as.</param>
    /// <param name="page">Its index, or −1.</param>
    /// <returns><see langword="false"/> if no page is free (ENOMEM).</returns>
    public bool TryAllocate(PageType type, out int page)
    {
        lock (_lock)
        {
            page = _firstFree;
            if (page == EndOfList)
            {
                return false;
            }

            _firstFree = _nextFree[page];
            _use[page] = (byte)type;
            _used[(int)type]++;
            _free--;
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
            if (use == FreeMark)
            {
                throw new InvalidOperationException($"EPC page {page} was freed twice.");
            }

            _use[page] = FreeMark;
            _used[use]--;
            _nextFree[page] = _firstFree;
            _firstFree = page;
            _free++;
        }
    }
}
