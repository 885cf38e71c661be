namespace SoftSgx.Kernel;

/// <summary>
/// A growing set of addresses, kept as ranges: where an enclave was ever mapped writable, or executable. It never forgets, so nothing
/// escapes it by being unmapped.
/// </summary>
/// <remarks>
/// A program could make any number of ranges. Beyond <see cref="MaximumRanges"/> neighbours grow together, which may add addresses that
/// were never in it: too many refusals rather than too few. Not thread-safe.
/// </remarks>
internal sealed class AddressRangeSet
{
    internal const int MaximumRanges = 16_384;

    private readonly List<(ulong Start, ulong End)> _ranges = []; // ascending, apart from each other

    /// <summary>Number of ranges.</summary>
    public int Count => _ranges.Count;

    /// <summary>Adds a range.</summary>
    public void Add(ulong start, ulong end)
    {
        if (start >= end)
        {
            return;
        }

        int first = FirstEndingAt(start);
        int behind = first;
        while (behind < _ranges.Count && _ranges[behind].Start <= end)
        {
            start = Math.Min(start, _ranges[behind].Start);
            end = Math.Max(end, _ranges[behind].End);
            behind++;
        }

        if (behind > first)
        {
            _ranges[first] = (start, end);
            _ranges.RemoveRange(first + 1, behind - first - 1);
        }
        else
        {
            _ranges.Insert(first, (start, end));
            if (_ranges.Count > MaximumRanges)
            {
                Coarsen();
            }
        }
    }

    /// <summary>Finds the first part of the set within a range.</summary>
    /// <param name="start">In: where to look from. Out: where the part begins.</param>
    /// <param name="end">End of the range.</param>
    /// <param name="partEnd">First address behind the part.</param>
    /// <returns><see langword="false"/> if nothing of the set is there.</returns>
    public bool TryNext(ref ulong start, ulong end, out ulong partEnd)
    {
        int index = FirstEndingAt(start);
        if (index < _ranges.Count && _ranges[index].End == start)
        {
            index++;
        }

        if (index >= _ranges.Count || _ranges[index].Start >= end || start >= end)
        {
            partEnd = end;
            return false;
        }

        start = Math.Max(start, _ranges[index].Start);
        partEnd = Math.Min(end, _ranges[index].End);
        return true;
    }

    /// <summary>An address is in the set.</summary>
    public bool Contains(ulong address) => TryNext(ref address, address == ulong.MaxValue ? address : address + 1, out _);

    /// <summary>Index of the first range that ends at or behind an address.</summary>
    private int FirstEndingAt(ulong address)
    {
        int low = 0, high = _ranges.Count;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (_ranges[middle].End >= address)
            {
                high = middle;
            }
            else
            {
                low = middle + 1;
            }
        }

        return low;
    }

    private void Coarsen()
    {
        int kept = 0;
        for (int i = 0; i < _ranges.Count; i += 2)
        {
            _ranges[kept++] = (_ranges[i].Start, _ranges[Math.Min(i + 1, _ranges.Count - 1)].End);
        }

        _ranges.RemoveRange(kept, _ranges.Count - kept);
    }
}
