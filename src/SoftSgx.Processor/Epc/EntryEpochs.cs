namespace SoftSgx.Processor;

/// <summary>
/// Which logical processors may still hold translations of an enclave: every entry remembers the epoch in which it came,
/// ETRACK starts a new epoch, and an epoch is over when the last logical processor that came in it has left.
/// SDM vol. 3D, "EPC page eviction" and ETRACK (TRACKING).
/// </summary>
/// <remarks>
/// <para>
/// One word, changed by compare-and-exchange, so that an entry belongs to the epoch before an ETRACK or to the one after it, and to
/// nothing in between. There are at most two epochs with anybody inside, because ETRACK waits for the one before.
/// </para>
/// <code>
/// 63:32 number of the epoch | 31:16 inside since the epoch before | 15:0 inside since this epoch
/// </code>
/// <para>
/// Each count has room for 65,535 logical processors. The number may wrap: a page that stays blocked through 2^32 ETRACKs has
/// to be tracked once more.
/// </para>
/// </remarks>
internal struct EntryEpochs
{
    private const int NumberShift = 32;
    private const int PreviousShift = 16;
    private const ulong CountMask = 0xFFFF;
    private const ulong OneCurrent = 1;
    private const ulong OnePrevious = 1UL << PreviousShift;

    private ulong _word;

    /// <summary>Number of the epoch.</summary>
    public readonly uint Current => Number(Volatile.Read(in _word));

    /// <summary>An epoch that is over, whatever happens.</summary>
    public readonly uint LongAgo => Current - 2;

    /// <summary>Logical processors inside, or on their way in.</summary>
    public readonly int Inside
    {
        get
        {
            ulong word = Volatile.Read(in _word);
            return (int)(word & CountMask) + (int)PreviousCount(word);
        }
    }

    /// <summary>A logical processor goes in. From now on it counts, even if it is refused later.</summary>
    /// <returns>The epoch in which it came, to be given to <see cref="Leave"/>.</returns>
    public uint Enter() => Number(Interlocked.Add(ref _word, OneCurrent));

    /// <summary>A logical processor that came in <paramref name="epoch"/> goes.</summary>
    public void Leave(uint epoch)
    {
        ulong seen = Volatile.Read(ref _word);
        while (true)
        {
            ulong next = seen - (Number(seen) == epoch ? OneCurrent : OnePrevious);
            ulong before = Interlocked.CompareExchange(ref _word, next, seen);
            if (before == seen)
            {
                return;
            }

            seen = before;
        }
    }

    /// <summary>Starts a new epoch, unless somebody is still inside since the one before.</summary>
    public bool TryAdvance()
    {
        ulong seen = Volatile.Read(ref _word);
        while (PreviousCount(seen) == 0)
        {
            ulong next = ((ulong)(Number(seen) + 1) << NumberShift) | ((seen & CountMask) << PreviousShift);
            ulong before = Interlocked.CompareExchange(ref _word, next, seen);
            if (before == seen)
            {
                return true;
            }

            seen = before;
        }

        return false;
    }

    /// <summary>True if everybody who came in <paramref name="epoch"/> or earlier has left, and ETRACK has seen to it.</summary>
    public readonly bool IsOver(uint epoch)
    {
        ulong word = Volatile.Read(in _word);
        return (Number(word) - epoch) switch
        {
            0 => false,
            1 => PreviousCount(word) == 0,
            _ => true,
        };
    }

    private static uint Number(ulong word) => (uint)(word >> NumberShift);

    private static ulong PreviousCount(ulong word) => (word >> PreviousShift) & CountMask;
}
