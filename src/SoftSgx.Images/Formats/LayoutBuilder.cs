using System.Globalization;
using System.Numerics;
using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>
/// Collects the pages of an enclave in the order of building, and refuses what cannot be built: pages that are not aligned, lie outside
/// the enclave, or are added twice; and more runs than a file has reason to ask for.
/// </summary>
internal sealed class LayoutBuilder(ulong size, uint ssaFrameSize, int mostRuns = LayoutBuilder.MaximumRuns)
{
    /// <summary>
    /// The most runs of pages, and the most reserved ranges, of all layouts of a file that are held in memory: some 20,000 threads. A
    /// few bytes of a file can ask for any number of repetitions.
    /// </summary>
    internal const int MaximumRuns = 1 << 17;

    /// <summary>
    /// The largest enclave: CPUID leaf 0x12 gives its size as a power of two, and addresses have 57 bits with five levels of pages.
    /// </summary>
    internal const ulong MaximumSize = 1UL << 56;

    private const ulong Page = PageContent.PageSize;

    private readonly List<PageRun> _runs = [];
    private readonly List<AddressRange> _reserved = [];

    internal IReadOnlyList<PageRun> Runs => _runs;

    internal IReadOnlyList<AddressRange> Reserved => _reserved;

    /// <summary>Refuses sizes that ECREATE refuses: no power of two of at least one page.</summary>
    internal static void CheckSize(ulong size, long where)
    {
        if (size < Page || size > MaximumSize || !BitOperations.IsPow2(size))
        {
            throw new ImageException(
                where, $"the enclave's size {FactList.Hex(size)} is no power of two from 0x1000 to {FactList.Hex(MaximumSize)}");
        }
    }

    /// <summary>Adds pages.</summary>
    /// <param name="where">Offset into the file of what asks for them.</param>
    /// <param name="run">The pages.</param>
    internal void Add(long where, PageRun run)
    {
        CheckRange(where, run.Offset, run.PageCount, run.Name);
        if (_runs.Count >= mostRuns)
        {
            throw new ImageException(
                where, string.Create(CultureInfo.InvariantCulture, $"the layout has more than {mostRuns} runs of pages"));
        }

        _runs.Add(run);
    }

    /// <summary>Adds a range that gets no pages.</summary>
    internal void Reserve(long where, ulong offset, ulong pages, string name, PageUse use)
    {
        if (pages == 0)
        {
            return;
        }

        CheckRange(where, offset, pages, name);
        if (_reserved.Count >= mostRuns)
        {
            throw new ImageException(
                where, string.Create(CultureInfo.InvariantCulture, $"the layout has more than {mostRuns} reserved ranges"));
        }

        _reserved.Add(new AddressRange(offset, pages, name, use));
    }

    /// <summary>The layout, once nothing overlaps.</summary>
    internal EnclaveLayout Build()
    {
        PageRun[] sorted = [.. _runs];
        Array.Sort(sorted, static (a, b) => a.Offset.CompareTo(b.Offset));
        for (int i = 1; i < sorted.Length; i++)
        {
            if (sorted[i - 1].End > sorted[i].Offset)
            {
                throw new ImageException(
                    $"the page at {FactList.Hex(sorted[i].Offset)} of the enclave is added twice: {sorted[i - 1].Name}, and "
                        + $"{sorted[i].Name}");
            }
        }

        return new EnclaveLayout(size, ssaFrameSize, _runs);
    }

    private void CheckRange(long where, ulong offset, ulong pages, string name)
    {
        if (offset % Page != 0)
        {
            throw new ImageException(where, $"{name} at {FactList.Hex(offset)} does not begin at a page");
        }

        if (pages == 0 || offset >= size || pages > (size - offset) / Page)
        {
            throw new ImageException(
                where,
                $"{name} ({FactList.Hex(pages)} pages at {FactList.Hex(offset)}) reaches beyond the enclave's size {FactList.Hex(size)}");
        }
    }

    /// <summary>Flags of a page: its type and permissions.</summary>
    internal static SecInfoFlags Flags(PageType type, SecInfoFlags permissions) => SecInfo.For(type, permissions).Flags;
}
