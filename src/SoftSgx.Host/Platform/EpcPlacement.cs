using SoftSgx.Architecture;
using SoftSgx.Kernel;

namespace SoftSgx.Host.Platform;

/// <summary>The EPC sections that CPUID leaf 0x12 enumerates for a layout.</summary>
internal static class EpcPlacement
{
    /// <summary>
    /// Bytes of physical addresses of each NUMA node: no EPC is larger. 64 nodes reach from the first section's address, 2^45, to
    /// 2^46, which every processor can address.
    /// </summary>
    private const ulong NodeStride = 1UL << 39;

    private const ulong PageSize = 4096;

    /// <summary>One section for each of the layout, in its order; those of a node one behind the other.</summary>
    /// <param name="layout">The layout.</param>
    /// <param name="physicalBase">Physical address at which node 0 starts.</param>
    internal static IReadOnlyList<EpcSection> Place(EpcLayout layout, ulong physicalBase)
    {
        ulong[] used = new ulong[layout.NodeCount];
        List<EpcSection> sections = [];
        foreach (EpcRange range in layout.Sections)
        {
            ulong size = (ulong)range.Pages * PageSize;
            sections.Add(new EpcSection(physicalBase + ((ulong)range.Node * NodeStride) + used[range.Node], size));
            used[range.Node] += size;
        }
        return sections;
    }
}
