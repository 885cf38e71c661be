using SoftSgx.Host.Enclaves;
using SoftSgx.Kernel;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Paging;

/// <summary>An enclave in one address space of the program: what the reclaimer does to page tables through it.</summary>
internal sealed class MappedEnclave : IEnclaveAddressSpace
{
    private readonly SpacePaging _space;
    private long _entered = -1;

    internal MappedEnclave(SpacePaging space, OpenEnclave owner)
    {
        _space = space;
        Owner = owner;
    }

    internal OpenEnclave Owner { get; }

    /// <summary>
    /// The page whose waiters were woken last, because they may access it now; set to something else to learn of the next time.
    /// </summary>
    internal ulong Entered
    {
        get => (ulong)Interlocked.Read(ref _entered);
        set => Interlocked.Exchange(ref _entered, (long)value);
    }

    /// <summary>Makes a page of the enclave's file with these contents, maps it here, and wakes who waits for it.</summary>
    internal bool TryEnter(ulong offset, nint contents)
    {
        ulong page = Owner.Enclave.Base + offset;
        if (!_space.Channel.Copy(page, contents))
        {
            return false;
        }
        Entered = page;
        return true;
    }

    /// <inheritdoc/>
    /// <remarks>
    /// A page was accessed if there is an entry for it: the entry was dropped the last time, and mapping a neighbour does not bring it back.
    /// Where entries cannot be dropped no page counts as accessed, since each would for ever.
    /// </remarks>
    public void TestAndClearAccessed(ReadOnlySpan<ulong> offsets, Span<bool> accessed)
    {
        if (_space.Ageing is not AgeingProcess { IsAlive: true } ageing || _space.Present is not PresentPages present)
        {
            return;
        }
        const int LongestRun = 64;
        Span<ulong> entries = stackalloc ulong[LongestRun];
        using (ageing.Enter())
        {
            if (!ageing.IsAlive)
            {
                return; // the address space has just come to its end
            }
            Span<AddressRange> ranges = ageing.Ranges;
            for (int from = 0; from < offsets.Length;)
            {
                // As many pages as one command takes.
                int to = Math.Min(offsets.Length, from + ranges.Length), count = 0;
                for (int i = from; i < to;)
                {
                    int run = RunAt(offsets[i..to], LongestRun);
                    ulong start = Owner.Enclave.Base + offsets[i];
                    if (IsMapped(start, (ulong)run * PageSize) && present.Read(start, entries[..run]))
                    {
                        count = Collect(start, entries[..run], accessed[i..], ranges, count);
                    }
                    else if (run > 1)
                    {
                        count = CollectOneByOne(start, run, present, accessed[i..], ranges, count);
                    }
                    i += run;
                }
                if (count > 0 && !ageing.Drop(count))
                {
                    return;
                }
                from = to;
            }
        }
    }

    /// <inheritdoc/>
    /// <remarks>
    /// Write protection marks pages that are not mapped too, so nobody can map one for writing meanwhile. The kernel flushes the
    /// TLBs of all processors that the address space runs on before the call returns.
    /// </remarks>
    public void Zap(ReadOnlySpan<ulong> offsets)
    {
        Span<ulong> sorted = stackalloc ulong[ReclaimSettings.MaximumBatch];
        offsets.CopyTo(sorted);
        sorted = sorted[..offsets.Length];
        sorted.Sort();
        for (int i = 0; i < sorted.Length;)
        {
            int run = RunAt(sorted[i..], sorted.Length);
            ulong start = Owner.Enclave.Base + sorted[i];
            if (!IsMapped(start, (ulong)run * PageSize) || !_space.Channel.Protect(start, (ulong)run * PageSize))
            {
                for (int page = 0; page < run; page++)
                {
                    ulong address = start + ((ulong)page * PageSize);
                    _ = IsMapped(address, PageSize) && _space.Channel.Protect(address, PageSize);
                }
            }
            i += run;
        }
    }

    /// <inheritdoc/>
    public void Admit(ulong offset)
    {
        ulong page = Owner.Enclave.Base + offset;
        if (Entered != page && _space.Channel.Unprotect(page))
        {
            Entered = page;
        }
    }

    /// <inheritdoc/>
    /// <remarks>Where the ageing process is gone, which is the program's doing, the page keeps its protection here.</remarks>
    public void Restrict(ulong offset, PageProtection epcm)
    {
        ulong page = Owner.Enclave.Base + offset;
        if (!_space.Mappings.TryFind(page, out EnclaveMapping mapping) || !ReferenceEquals(mapping.Owner, Owner)
            || (mapping.Protection & PageProtection.Access & ~epcm) == 0 || _space.Ageing is not AgeingProcess ageing)
        {
            return;
        }
        _space.Closure.RunsAreStale = true;
        using (ageing.Enter())
        {
            if (ageing.IsAlive && _space.Closure.IsClosed != true)
            {
                ageing.Ranges[0] = AddressRange.Protected(page, PageSize, mapping.Protection & epcm);
                _ = ageing.Protect(1);
            }
        }
    }

    private static int Collect(ulong start, ReadOnlySpan<ulong> entries, Span<bool> accessed, Span<AddressRange> ranges, int count)
    {
        for (int i = 0; i < entries.Length; i++)
        {
            if (!PresentPages.IsPresent(entries[i]))
            {
                continue;
            }
            accessed[i] = true;
            ulong page = start + ((ulong)i * PageSize);
            if (count > 0 && ranges[count - 1].Start + ranges[count - 1].Length == page)
            {
                ranges[count - 1].Length += PageSize;
            }
            else
            {
                ranges[count++] = new AddressRange(page, PageSize);
            }
        }
        return count;
    }

    private int CollectOneByOne(ulong start, int run, PresentPages present, Span<bool> accessed, Span<AddressRange> ranges, int count)
    {
        ulong entry = 0;
        for (int i = 0; i < run; i++)
        {
            ulong page = start + ((ulong)i * PageSize);
            if (IsMapped(page, PageSize) && present.Read(page, new Span<ulong>(ref entry)))
            {
                count = Collect(page, new ReadOnlySpan<ulong>(ref entry), accessed[i..], ranges, count);
            }
        }
        return count;
    }

    /// <summary>Number of pages at the beginning of a list that are neighbours in ascending order.</summary>
    private static int RunAt(ReadOnlySpan<ulong> offsets, int longest)
    {
        int run = 1;
        while (run < offsets.Length && run < longest && offsets[run] == offsets[run - 1] + PageSize)
        {
            run++;
        }
        return run;
    }

    /// <summary>True if one mapping of this enclave holds the range.</summary>
    private bool IsMapped(ulong start, ulong length) =>
        _space.Mappings.TryFind(start, out EnclaveMapping mapping) && ReferenceEquals(mapping.Owner, Owner) && mapping.End - start >= length;
}
