using SoftSgx.Kernel;

namespace SoftSgx.Host.Enclaves;

/// <summary>A mapping of enclave memory in one address space.</summary>
/// <param name="Start">First address, page-aligned.</param>
/// <param name="End">Address after the last.</param>
/// <param name="Protection">What the program asked for; the host maps its intersection with the EPCM's permissions.</param>
/// <param name="Owner">The enclave whose inode is mapped.</param>
internal readonly record struct EnclaveMapping(ulong Start, ulong End, PageProtection Protection, OpenEnclave Owner)
{
    /// <summary>
    /// True if the mapping asks for more than a page may have, which is possible for a mapping that is older than the page. Every
    /// access is then the driver's SIGBUS (sgx_encl_load_page_in_vma, arch/x86/kernel/cpu/sgx/encl.c).
    /// </summary>
    internal bool ExceedsMaximum(ulong address) => (Protection & ~Owner.Enclave.MaximumProtection(address)) != 0;
}

/// <summary>The mappings of enclave memory in one address space, in order of address, never overlapping.</summary>
internal sealed class EnclaveMappings
{
    private readonly List<EnclaveMapping> _list;

    internal EnclaveMappings() => _list = [];

    private EnclaveMappings(List<EnclaveMapping> list) => _list = list;

    internal int Count => _list.Count;

    internal EnclaveMapping this[int index] => _list[index];

    /// <summary>A copy for a forked child, which inherits the mappings.</summary>
    internal EnclaveMappings Copy() => new([.. _list]);

    /// <summary>Index of the first mapping that ends after <paramref name="address"/>; <see cref="Count"/> if none does.</summary>
    internal int FirstEndingAfter(ulong address)
    {
        int low = 0, high = _list.Count;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (_list[middle].End > address)
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

    internal bool TryFind(ulong address, out EnclaveMapping mapping)
    {
        int index = FirstEndingAfter(address);
        bool found = index < _list.Count && _list[index].Start <= address;
        mapping = found ? _list[index] : default;
        return found;
    }

    internal bool Overlaps(ulong start, ulong end)
    {
        int index = FirstEndingAfter(start);
        return index < _list.Count && _list[index].Start < end;
    }

    /// <summary>Adds a mapping in place of whatever lay in its range.</summary>
    internal void Add(EnclaveMapping mapping)
    {
        Remove(mapping.Start, mapping.End);
        _list.Insert(FirstEndingAfter(mapping.Start), mapping);
    }

    /// <summary>Forgets a range, cutting mappings that reach beyond it.</summary>
    internal void Remove(ulong start, ulong end)
    {
        int index = CutAt(start);
        _ = CutAt(end);
        int last = index;
        while (last < _list.Count && _list[last].Start < end)
        {
            last++;
        }
        _list.RemoveRange(index, last - index);
    }

    /// <summary>Sets what the program asks for in a range.</summary>
    internal void Protect(ulong start, ulong end, PageProtection protection)
    {
        int index = CutAt(start);
        _ = CutAt(end);
        for (; index < _list.Count && _list[index].Start < end; index++)
        {
            _list[index] = _list[index] with { Protection = protection };
        }
    }

    /// <summary>Splits the mapping that contains <paramref name="address"/> there; the index of the first mapping at or after it.</summary>
    private int CutAt(ulong address)
    {
        int index = FirstEndingAfter(address);
        if (index < _list.Count && _list[index].Start < address)
        {
            EnclaveMapping whole = _list[index];
            _list[index] = whole with { End = address };
            _list.Insert(++index, whole with { Start = address });
        }
        return index;
    }
}
