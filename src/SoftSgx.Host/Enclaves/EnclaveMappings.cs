using System.Runtime.InteropServices;
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

    /// <summary>What the host maps for a run of pages: what the program asks for, less what the EPCM forbids.</summary>
    /// <param name="address">Its first page.</param>
    /// <param name="epcm">What <see cref="Enclave.NextRun"/> says of it.</param>
    internal PageProtection HostProtection(ulong address, PageProtection epcm) =>
        (epcm & (PageProtection.Absent | PageProtection.Private)) != 0 ? Protection
        : ExceedsMaximum(address) ? PageProtection.None
        : Protection & epcm;
}

/// <summary>The mappings of enclave memory in one address space, in order of address, never overlapping.</summary>
/// <remarks>
/// The tracer alone changes them. Anybody may look an address up meanwhile: every change makes a new array and puts it in place of the
/// old one in one step, so a look-up sees the mappings before it or after it. What takes an index is for the tracer.
/// </remarks>
internal sealed class EnclaveMappings
{
    private volatile EnclaveMapping[] _all;

    internal EnclaveMappings() => _all = [];

    private EnclaveMappings(EnclaveMapping[] all) => _all = all;

    internal int Count => _all.Length;

    /// <summary>Another object after every change.</summary>
    internal object Version => _all;

    internal EnclaveMapping this[int index] => _all[index];

    /// <summary>A copy for a forked child, which inherits the mappings.</summary>
    internal EnclaveMappings Copy() => new(_all);

    /// <summary>Index of the first mapping that ends after <paramref name="address"/>; <see cref="Count"/> if none does.</summary>
    internal int FirstEndingAfter(ulong address) => FirstEndingAfter(_all, address);

    internal bool TryFind(ulong address, out EnclaveMapping mapping)
    {
        EnclaveMapping[] all = _all;
        int index = FirstEndingAfter(all, address);
        bool found = index < all.Length && all[index].Start <= address;
        mapping = found ? all[index] : default;
        return found;
    }

    internal bool Overlaps(ulong start, ulong end)
    {
        EnclaveMapping[] all = _all;
        int index = FirstEndingAfter(all, start);
        return index < all.Length && all[index].Start < end;
    }

    /// <summary>The mappings of a range, cut to it.</summary>
    internal EnclaveMapping[] Within(ulong start, ulong end) =>
    [
        .. _all.Where(mapping => mapping.Start < end && start < mapping.End)
            .Select(mapping => mapping with { Start = Math.Max(start, mapping.Start), End = Math.Min(end, mapping.End) }),
    ];

    /// <summary>True if a part of the enclave is mapped.</summary>
    internal bool Has(OpenEnclave owner)
    {
        foreach (EnclaveMapping mapping in _all)
        {
            if (ReferenceEquals(mapping.Owner, owner))
            {
                return true;
            }
        }
        return false;
    }

    /// <summary>Adds a mapping in place of whatever lay in its range.</summary>
    internal void Add(EnclaveMapping mapping)
    {
        List<EnclaveMapping> list = [.. _all];
        Remove(list, mapping.Start, mapping.End);
        list.Insert(CutAt(list, mapping.Start), mapping);
        _all = [.. list];
    }

    /// <summary>Forgets a range, cutting mappings that reach beyond it.</summary>
    internal void Remove(ulong start, ulong end)
    {
        if (Overlaps(start, end))
        {
            List<EnclaveMapping> list = [.. _all];
            Remove(list, start, end);
            _all = [.. list];
        }
    }

    /// <summary>Sets what the program asks for in a range.</summary>
    internal void Protect(ulong start, ulong end, PageProtection protection)
    {
        List<EnclaveMapping> list = [.. _all];
        int index = CutAt(list, start);
        _ = CutAt(list, end);
        for (; index < list.Count && list[index].Start < end; index++)
        {
            list[index] = list[index] with { Protection = protection };
        }
        _all = [.. list];
    }

    private static int FirstEndingAfter(ReadOnlySpan<EnclaveMapping> all, ulong address)
    {
        int low = 0, high = all.Length;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (all[middle].End > address)
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

    private static void Remove(List<EnclaveMapping> list, ulong start, ulong end)
    {
        int index = CutAt(list, start);
        _ = CutAt(list, end);
        int last = index;
        while (last < list.Count && list[last].Start < end)
        {
            last++;
        }
        list.RemoveRange(index, last - index);
    }

    /// <summary>Splits the mapping that contains <paramref name="address"/> there; the index of the first mapping at or after it.</summary>
    private static int CutAt(List<EnclaveMapping> list, ulong address)
    {
        int index = FirstEndingAfter(CollectionsMarshal.AsSpan(list), address);
        if (index < list.Count && list[index].Start < address)
        {
            EnclaveMapping whole = list[index];
            list[index] = whole with { End = address };
            list.Insert(++index, whole with { Start = address });
        }
        return index;
    }
}
