using System.Numerics;

namespace SoftSgx.Kernel;

/// <summary>
/// Which slots of an enclave's version arrays are free. The lowest free one is found in as many steps as there are levels, five for
/// 2^28 slots, however full the arrays are.
/// </summary>
/// <remarks>
/// <code>
///   level 0   a bit for each slot, set if it is free
///   level 1   a bit for each word of level 0, set if it is not zero
///   …         up to a level of one word
/// </code>
/// Not thread-safe: the enclave's lock guards it.
/// </remarks>
internal sealed class SlotBitmap
{
    private const int Shift = 6;
    private const int Mask = (1 << Shift) - 1;

    private readonly List<ulong[]> _levels = [[0]];
    private int _slots;

    /// <summary>Slots that are taken.</summary>
    public int Taken { get; private set; }

    /// <summary>Adds free slots behind the last one.</summary>
    /// <param name="count">How many.</param>
    public void Add(int count)
    {
        int end = _slots + count;
        Reserve(end);
        while (_slots < end)
        {
            MarkFree(_slots++);
        }
    }

    /// <summary>Takes the lowest free slot.</summary>
    /// <returns>Its number, or −1 if none is free.</returns>
    public int Take()
    {
        int at = 0;
        for (int level = _levels.Count - 1; level >= 0; level--)
        {
            ulong word = _levels[level][at];
            if (word == 0)
            {
                return -1;
            }

            at = (at << Shift) + BitOperations.TrailingZeroCount(word);
        }

        Taken++;
        int bit = at;
        foreach (ulong[] words in _levels)
        {
            words[bit >> Shift] &= ~(1UL << (bit & Mask));
            if (words[bit >> Shift] != 0)
            {
                break;
            }

            bit >>= Shift;
        }

        return at;
    }

    /// <summary>Gives a slot back that <see cref="Take"/> gave.</summary>
    public void Return(int slot)
    {
        Taken--;
        MarkFree(slot);
    }

    /// <summary>Forgets all slots.</summary>
    public void Clear()
    {
        _levels.Clear();
        _levels.Add([0]);
        _slots = 0;
        Taken = 0;
    }

    private void MarkFree(int slot)
    {
        foreach (ulong[] words in _levels)
        {
            ref ulong word = ref words[slot >> Shift];
            bool wasFull = word == 0;
            word |= 1UL << (slot & Mask);
            if (!wasFull)
            {
                return;
            }

            slot >>= Shift;
        }
    }

    private void Reserve(int slots)
    {
        int words = ((slots - 1) >> Shift) + 1;
        for (int level = 0; level < _levels.Count; level++)
        {
            if (_levels[level].Length < words)
            {
                ulong[] larger = new ulong[Math.Max(words, _levels[level].Length * 2)];
                _levels[level].CopyTo(larger, 0);
                _levels[level] = larger;
            }

            if (level == _levels.Count - 1 && words > 1)
            {
                // A new top, whose first bit says what the old one said.
                _levels.Add([_levels[level][0] != 0 ? 1UL : 0]);
            }

            words = ((words - 1) >> Shift) + 1;
        }
    }
}
