using System.Numerics;
using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>Finds out where two enclaves begin to be built differently, and how much of them differs.</summary>
public static class EnclaveComparer
{
    private const int ChunkLength = 256;
    private const int ChunksOfPage = PageContent.PageSize / ChunkLength;

    /// <summary>Runs of pages that are kept in order of their addresses: some 100 MiB.</summary>
    private const int MaximumRuns = 1 << 20;

    /// <summary>Compares two layouts. Pages are read one by one; how large the enclaves are does not matter.</summary>
    /// <param name="first">The one.</param>
    /// <param name="second">The other.</param>
    /// <exception cref="ImageException">One of the files is not well-formed.</exception>
    public static EnclaveComparison Compare(EnclaveLayout first, EnclaveLayout second)
    {
        ArgumentNullException.ThrowIfNull(first);
        ArgumentNullException.ThrowIfNull(second);
        FirstDifference? difference = FindFirst(first, second);
        PageRun[]? firstRuns = ByAddress(first);
        PageRun[]? secondRuns = ByAddress(second);
        return firstRuns is null || secondRuns is null
            ? new EnclaveComparison(difference, [], RegionsAreKnown: false)
            : new EnclaveComparison(difference, Regions(firstRuns, secondRuns), RegionsAreKnown: true);
    }

    private static FirstDifference? FindFirst(EnclaveLayout first, EnclaveLayout second)
    {
        if (first.Size != second.Size || first.SsaFrameSize != second.SsaFrameSize)
        {
            return new FirstDifference(1, 0, Created(first), Created(second), Byte: null);
        }

        ulong operation = 2;
        using RunCursor a = new(first.Runs);
        using RunCursor b = new(second.Runs);
        while (!a.IsAtEnd && !b.IsAtEnd)
        {
            if (a.Offset != b.Offset || AddedPage.Flags(a.Run) != AddedPage.Flags(b.Run))
            {
                return new FirstDifference(operation, a.Offset, Added(a), Added(b), Byte: null);
            }

            bool areMeasured = (a.Run.MeasuredChunks | b.Run.MeasuredChunks) != 0;
            if (areMeasured)
            {
                a.Load();
                b.Load();
                if (FirstInPage(operation + 1, a, b) is { } difference)
                {
                    return difference;
                }
            }

            bool areAlike = !areMeasured || (a.Run.Content.IsUniform && b.Run.Content.IsUniform);
            ulong pages = areAlike ? Math.Min(a.Left, b.Left) : 1;
            operation += pages * (1 + (ulong)BitOperations.PopCount(a.Run.MeasuredChunks));
            a.Advance(pages);
            b.Advance(pages);
        }

        return a.IsAtEnd && b.IsAtEnd ? null : new FirstDifference(operation, (a.IsAtEnd ? b : a).Offset, Added(a), Added(b), Byte: null);
    }

    /// <summary>The first EEXTEND of a page that differs; the EADD does not.</summary>
    private static FirstDifference? FirstInPage(ulong operation, RunCursor a, RunCursor b)
    {
        for (int chunk = 0; chunk < ChunksOfPage; chunk++)
        {
            bool inFirst = IsMeasured(a.Run, chunk);
            bool inSecond = IsMeasured(b.Run, chunk);
            ulong offset = a.Offset + (uint)(chunk * ChunkLength);
            if (inFirst != inSecond)
            {
                return new FirstDifference(operation, offset, Extended(inFirst, offset, a), Extended(inSecond, offset, b), Byte: null);
            }

            if (!inFirst)
            {
                continue;
            }

            ReadOnlySpan<byte> one = a.Page.AsSpan(chunk * ChunkLength, ChunkLength);
            ReadOnlySpan<byte> other = b.Page.AsSpan(chunk * ChunkLength, ChunkLength);
            int same = one.CommonPrefixLength(other);
            if (same < ChunkLength)
            {
                ByteDifference difference = new(offset + (uint)same, one[same], other[same]);
                return new FirstDifference(operation, offset, Extended(true, offset, a), Extended(true, offset, b), difference);
            }

            operation++;
        }

        return null;
    }

    private static PageRun[]? ByAddress(EnclaveLayout layout)
    {
        List<PageRun> runs = [];
        foreach (PageRun run in layout.Runs)
        {
            if (runs.Count == MaximumRuns)
            {
                return null;
            }

            runs.Add(run);
        }

        return [.. runs.OrderBy(static run => run.Offset)];
    }

    private static List<RegionDifference> Regions(PageRun[] first, PageRun[] second)
    {
        Dictionary<string, RegionDifference> regions = [];
        using RunCursor a = new(first);
        using RunCursor b = new(second);
        while (!a.IsAtEnd || !b.IsAtEnd)
        {
            if (b.IsAtEnd || (!a.IsAtEnd && a.Offset < b.Offset))
            {
                ulong pages = b.IsAtEnd ? a.Left : Math.Min(a.Left, PagesBetween(a.Offset, b.Offset));
                RegionOf(regions, a, pages).OnlyInFirst += pages;
                a.Advance(pages);
            }
            else if (a.IsAtEnd || b.Offset < a.Offset)
            {
                ulong pages = a.IsAtEnd ? b.Left : Math.Min(b.Left, PagesBetween(b.Offset, a.Offset));
                RegionOf(regions, b, pages).OnlyInSecond += pages;
                b.Advance(pages);
            }
            else
            {
                bool areAlike = a.Run.Content.IsUniform && b.Run.Content.IsUniform;
                ulong pages = areAlike ? Math.Min(a.Left, b.Left) : 1;
                CompareContents(regions, a, b, pages);
                a.Advance(pages);
                b.Advance(pages);
            }
        }

        return [.. regions.Values.OrderBy(static region => region.Start)];
    }

    /// <summary>At least one: pages that are not aligned overlap in part, and are no pages of any enclave that can be built.</summary>
    private static ulong PagesBetween(ulong start, ulong end) => Math.Max(1, (end - start) / PageContent.PageSize);

    private static void CompareContents(Dictionary<string, RegionDifference> regions, RunCursor a, RunCursor b, ulong pages)
    {
        a.Load();
        b.Load();
        RegionDifference found = new(a.Run.Name);
        if (AddedPage.Flags(a.Run) != AddedPage.Flags(b.Run))
        {
            found.Flags = pages;
        }

        if (a.Run.MeasuredChunks != b.Run.MeasuredChunks)
        {
            found.Measured = pages;
        }

        if (!a.Page.AsSpan().SequenceEqual(b.Page))
        {
            ulong measured = 0;
            ulong unmeasured = 0;
            for (int i = 0; i < PageContent.PageSize; i++)
            {
                bool isMeasured = IsMeasured(a.Run, i / ChunkLength) || IsMeasured(b.Run, i / ChunkLength);
                ulong differs = a.Page[i] != b.Page[i] ? 1u : 0;
                measured += isMeasured ? differs : 0;
                unmeasured += isMeasured ? 0 : differs;
            }

            found.Contents = measured > 0 ? pages : 0;
            found.Bytes = measured * pages;
            found.UnmeasuredContents = unmeasured > 0 ? pages : 0;
        }

        if (!found.IsEmpty)
        {
            RegionDifference region = RegionOf(regions, a, pages);
            region.Flags += found.Flags;
            region.Measured += found.Measured;
            region.Contents += found.Contents;
            region.Bytes += found.Bytes;
            region.UnmeasuredContents += found.UnmeasuredContents;
        }
    }

    private static RegionDifference RegionOf(Dictionary<string, RegionDifference> regions, RunCursor cursor, ulong pages)
    {
        if (!regions.TryGetValue(cursor.Run.Name, out RegionDifference? region))
        {
            region = new RegionDifference(cursor.Run.Name);
            regions.Add(region.Name, region);
        }

        region.Cover(cursor.Offset, pages);
        return region;
    }

    private static bool IsMeasured(PageRun run, int chunk) => ((run.MeasuredChunks >> chunk) & 1) != 0;

    private static string Created(EnclaveLayout layout) => $"ECREATE size 0x{layout.Size:x} ssaframesize {layout.SsaFrameSize}";

    private static string Added(RunCursor cursor)
    {
        if (cursor.IsAtEnd)
        {
            return "nothing more";
        }

        SecInfoFlags flags = AddedPage.Flags(cursor.Run);
        string type = cursor.Run.PageType switch
        {
            PageType.PT_REG => "reg",
            PageType.PT_TCS => "tcs",
            PageType other => $"type {(int)other}",
        };
        return $"EADD 0x{cursor.Offset:x} {type} "
            + ((flags & SecInfoFlags.R) != 0 ? "r" : "-") + ((flags & SecInfoFlags.W) != 0 ? "w" : "-") + ((flags & SecInfoFlags.X) != 0 ? "x" : "-")
            + $" ({cursor.Run.Name})";
    }

    private static string Extended(bool isMeasured, ulong offset, RunCursor cursor) =>
        isMeasured ? $"EEXTEND 0x{offset:x} ({cursor.Run.Name})" : $"does not measure the 256 bytes at 0x{offset:x} ({cursor.Run.Name})";
}
