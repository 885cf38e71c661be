using System.Collections.Immutable;

namespace SoftSgx.Kernel;

/// <summary>A section of the EPC: consecutive EPC pages that belong to one NUMA node.</summary>
/// <param name="FirstPage">Index of its first EPC page.</param>
/// <param name="Pages">Number of pages, at least 1.</param>
/// <param name="Node">Number of the NUMA node.</param>
public readonly record struct EpcRange(int FirstPage, int Pages, int Node);

/// <summary>
/// Where the EPC is: at most eight sections, each on a NUMA node.
/// The counterpart of sgx_page_cache_init in arch/x86/kernel/cpu/sgx/main.c (SGX_MAX_EPC_SECTIONS).
/// </summary>
public sealed class EpcLayout
{
    /// <summary>The most sections that Linux looks at.</summary>
    public const int SGX_MAX_EPC_SECTIONS = 8;

    /// <summary>A layout of sections, one behind the other.</summary>
    /// <param name="sections">Pages and node of each, 1 to 8 of them; nodes are numbered from 0.</param>
    /// <exception cref="ArgumentException">There are none or too many sections, or one is empty.</exception>
    public EpcLayout(params ReadOnlySpan<(int Pages, int Node)> sections)
    {
        if (sections.Length is 0 or > SGX_MAX_EPC_SECTIONS)
        {
            throw new ArgumentException($"an EPC has 1 to {SGX_MAX_EPC_SECTIONS} sections, not {sections.Length}", nameof(sections));
        }

        EpcRange[] ranges = new EpcRange[sections.Length];
        int first = 0;
        for (int i = 0; i < ranges.Length; i++)
        {
            ArgumentOutOfRangeException.ThrowIfLessThan(sections[i].Pages, 1);
            ArgumentOutOfRangeException.ThrowIfNegative(sections[i].Node);
            ranges[i] = new EpcRange(first, sections[i].Pages, sections[i].Node);
            first = checked(first + sections[i].Pages);
            NodeCount = Math.Max(NodeCount, sections[i].Node + 1);
        }

        Sections = [.. ranges];
        Pages = first;
    }

    /// <summary>The sections in the order of their pages.</summary>
    public ImmutableArray<EpcRange> Sections { get; }

    /// <summary>All pages.</summary>
    public int Pages { get; }

    /// <summary>One more than the highest node number.</summary>
    public int NodeCount { get; }
}
