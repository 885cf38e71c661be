using System.Numerics;

namespace SoftSgx.Kernel;

/// <summary>
/// Remembers the keys of the pages that were evicted last, so many of them: a ring in the order of eviction with an open-addressed
/// hash table of ring positions. Bounded, and it allocates nothing after it was made.
/// </summary>
internal sealed class GhostQueue
{
    private const int Empty = -1;

    private readonly ulong[] _ring;
    private readonly int[] _table; // ring positions; linear probing
    private readonly int _mask;
    private int _next;

    /// <summary>Remembers up to <paramref name="capacity"/> keys, at least 1.</summary>
    public GhostQueue(int capacity)
    {
        _ring = new ulong[Math.Max(1, capacity)];
        _ring.AsSpan().Fill(ulong.MaxValue);
        _table = new int[(int)BitOperations.RoundUpToPowerOf2((uint)_ring.Length * 3 / 2 + 1)];
        _table.AsSpan().Fill(Empty);
        _mask = _table.Length - 1;
    }

    /// <summary>Adds a key that is not there and forgets the oldest if there is no room.</summary>
    public void Add(ulong key)
    {
        if (_ring[_next] != ulong.MaxValue)
        {
            Remove(_ring[_next]);
        }

        _ring[_next] = key;
        int at = Home(key);
        while (_table[at] != Empty)
        {
            at = (at + 1) & _mask;
        }

        _table[at] = _next;
        _next = _next + 1 < _ring.Length ? _next + 1 : 0;
    }

    /// <summary>Forgets a key.</summary>
    /// <returns><see langword="false"/> if it was not there.</returns>
    public bool Remove(ulong key)
    {
        int at = Home(key);
        while (_table[at] != Empty && _ring[_table[at]] != key)
        {
            at = (at + 1) & _mask;
        }

        if (_table[at] == Empty)
        {
            return false;
        }

        _ring[_table[at]] = ulong.MaxValue;
        Close(at);
        return true;
    }

    // Moves later entries of the same run up, so that no hole separates an entry from its home.
    private void Close(int hole)
    {
        int at = hole;
        while (true)
        {
            at = (at + 1) & _mask;
            if (_table[at] == Empty)
            {
                _table[hole] = Empty;
                return;
            }

            int distance = (at - Home(_ring[_table[at]])) & _mask;
            if (distance >= ((at - hole) & _mask))
            {
                _table[hole] = _table[at];
                hole = at;
            }
        }
    }

    // Fibonacci hashing: keys differ mostly in their low bits.
    private int Home(ulong key) => (int)((key * 0x9E3779B97F4A7C15) >> 33) & _mask;
}
