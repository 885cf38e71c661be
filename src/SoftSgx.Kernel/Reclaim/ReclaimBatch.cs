namespace SoftSgx.Kernel;

/// <summary>The pages that one thread is about to reclaim, sorted by enclave and offset, in arrays that are used again and again.</summary>
/// <param name="size">The most pages of a batch.</param>
internal sealed class ReclaimBatch(int size)
{
    private readonly Enclave?[] _enclaves = new Enclave?[size];

    /// <summary>Number of pages.</summary>
    public int Count { get; private set; }

    /// <summary>The pages' offsets from their enclaves' bases.</summary>
    public ulong[] Offsets { get; } = new ulong[size];

    /// <summary>The EPC pages.</summary>
    public int[] EpcPages { get; } = new int[size];

    /// <summary>Set where a page was accessed, so that it stays.</summary>
    public bool[] Accessed { get; } = new bool[size];

    /// <summary>Set where the page's Accessed state counts.</summary>
    public bool[] Ages { get; } = new bool[size];

    /// <summary>The enclave of a page.</summary>
    public Enclave EnclaveOf(int i) => _enclaves[i]!;

    /// <summary>Adds a page where it belongs: enclaves by their numbers, pages by their offsets.</summary>
    public void Insert(Enclave enclave, ulong offset, int epcPage, bool ages)
    {
        int at = Count++;
        while (at > 0 && (_enclaves[at - 1]!.Id > enclave.Id || (_enclaves[at - 1] == enclave && Offsets[at - 1] > offset)))
        {
            Copy(at - 1, at);
            at--;
        }

        _enclaves[at] = enclave;
        Offsets[at] = offset;
        EpcPages[at] = epcPage;
        Accessed[at] = false;
        Ages[at] = ages;
    }

    /// <summary>The end of the run of pages of one enclave that starts at <paramref name="from"/>.</summary>
    public int EndOfEnclave(int from)
    {
        int to = from + 1;
        while (to < Count && _enclaves[to] == _enclaves[from])
        {
            to++;
        }

        return to;
    }

    /// <summary>Moves a page down to <paramref name="to"/>, over one that stays.</summary>
    public void Copy(int from, int to)
    {
        _enclaves[to] = _enclaves[from];
        Offsets[to] = Offsets[from];
        EpcPages[to] = EpcPages[from];
        Accessed[to] = Accessed[from];
        Ages[to] = Ages[from];
    }

    /// <summary>Cuts the batch to its first pages.</summary>
    public void Cut(int count) => Count = count;

    /// <summary>Empties the batch and lets go of the enclaves.</summary>
    public void Clear()
    {
        Array.Clear(_enclaves);
        Count = 0;
    }
}
