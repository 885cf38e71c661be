using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>
/// Lays an enclave out as the Intel SDK's loader and signing tool do: the segments, then the entries of the metadata's layout table.
/// Intel SGX SDK, psw/urts/loader.cpp (build_sections, build_mem_region, build_contexts).
/// </summary>
internal sealed class SdkLayout
{
    private const ulong Page = PageContent.PageSize;

    private readonly SdkMetadata _metadata;
    private readonly PatchedBytes _bytes;
    private readonly ulong _shift;
    private readonly LayoutBuilder _builder;
    private int _threads;

    private SdkLayout(SdkMetadata metadata, int mostRuns)
    {
        metadata.Check();
        _metadata = metadata;
        _bytes = metadata.Patches();
        (ulong size, _shift) = metadata.ElRange() ?? (metadata.EnclaveSize, 0);
        _builder = new LayoutBuilder(size, metadata.SsaFrameSize, mostRuns);
    }

    /// <summary>Lays the enclave out as a metadata block says.</summary>
    /// <param name="metadata">The block.</param>
    /// <param name="segments">The segments in the file's order.</param>
    /// <param name="relocated">Numbers of the pages that become writable because they hold text relocations; ascending.</param>
    /// <param name="mostRuns">The most runs, and the most reserved ranges, that the layout may have.</param>
    /// <param name="reserved">Receives what gets no pages.</param>
    internal static EnclaveLayout Build(
        SdkMetadata metadata,
        IReadOnlyList<SdkSegment> segments,
        IReadOnlyList<ulong> relocated,
        int mostRuns,
        out IReadOnlyList<AddressRange> reserved)
    {
        SdkLayout layout = new(metadata, mostRuns);
        layout.AddSegments(segments, relocated);
        layout.AddContexts();
        reserved = layout._builder.Reserved;
        return layout._builder.Build();
    }

    private void AddSegments(IReadOnlyList<SdkSegment> segments, IReadOnlyList<ulong> relocated)
    {
        SdkSegment? last = null;
        foreach (SdkSegment segment in segments)
        {
            if (last is not null && GapOf13(last) is { } gap && gap < segment.Rva / Page * Page)
            {
                AddZeros(last, gap);
            }

            if (last is null || segment.Rva > last.Rva)
            {
                last = segment;
            }

            AddSegment(segment, relocated);
        }

        if (last is not null && GapOf13(last) is { } end)
        {
            AddZeros(last, end);
        }
    }

    // What version 1.3 adds behind a segment whose size, rounded up before its unaligned start is added, needs a page more.
    private ulong? GapOf13(SdkSegment segment)
    {
        if (!_metadata.IsVersion13)
        {
            return null;
        }

        ulong end = RoundUp(segment, segment.Rva + segment.MemorySize);
        return end < RoundUp(segment, segment.Rva + RoundUp(segment, segment.MemorySize)) ? end : null;
    }

    private void AddZeros(SdkSegment segment, ulong rva) =>
        Add(
            segment.Where, rva, 1, LayoutBuilder.Flags(PageType.PT_REG, segment.Permissions), true, PageContent.Zero,
            $"{segment.Name}, a page behind it");

    private void AddSegment(SdkSegment segment, IReadOnlyList<ulong> relocated)
    {
        if (segment.Rva >= _metadata.EnclaveSize || segment.MemorySize > _metadata.EnclaveSize || segment.FileSize > _metadata.EnclaveSize)
        {
            throw new ImageException(
                (long)segment.Where, $"{segment.Name} reaches beyond the enclave's size {FactList.Hex(_metadata.EnclaveSize)}");
        }

        // The pages with bytes of the file: of the pages that are not writable, those with a relocation become so.
        ulong within = segment.Rva % Page;
        ulong first = segment.Rva / Page;
        ulong end = segment.FileSize == 0 ? first : (segment.Rva + segment.FileSize + Page - 1) / Page;
        ulong page = first;
        if (!segment.Permissions.HasFlag(SecInfoFlags.W))
        {
            int next = LowerBound(relocated, first);
            while (page < end)
            {
                while (next < relocated.Count && relocated[next] < page)
                {
                    next++;
                }

                ulong plain = next < relocated.Count ? Math.Min(relocated[next], end) : end;
                AddContents(segment, page, plain, segment.Permissions, segment.Name);
                page = plain;
                ulong written = page;
                for (; next < relocated.Count && relocated[next] == written && written < end; next++)
                {
                    written++;
                }

                AddContents(segment, page, written, segment.Permissions | SecInfoFlags.W, $"{segment.Name}, with relocations");
                page = written;
            }
        }
        else
        {
            AddContents(segment, page, end, segment.Permissions, segment.Name);
        }

        // What is left of its size in memory; measured from where the bytes' pages end.
        ulong done = segment.FileSize == 0 ? 0 : ((end - first) * Page) - within;
        if (segment.MemorySize > done)
        {
            ulong rva = segment.Rva + done;
            ulong pages = (segment.MemorySize - done + (rva % Page) + Page - 1) / Page;
            Add(
                segment.Where, rva / Page * Page, pages, LayoutBuilder.Flags(PageType.PT_REG, segment.Permissions), true, PageContent.Zero,
                $"{segment.Name}, zeros");
        }
    }

    private void AddContents(SdkSegment segment, ulong first, ulong end, SecInfoFlags permissions, string name)
    {
        if (first < end)
        {
            SegmentContent content = new(_bytes, segment.FileOffset, segment.FileSize, (long)segment.Rva - (long)(first * Page));
            Add(segment.Where, first * Page, end - first, LayoutBuilder.Flags(PageType.PT_REG, permissions), true, content, name);
        }
    }

    private static int LowerBound(IReadOnlyList<ulong> sorted, ulong value)
    {
        int low = 0;
        int high = sorted.Count;
        while (low < high)
        {
            int middle = low + ((high - low) / 2);
            if (sorted[middle] < value)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low;
    }

    private void AddContexts()
    {
        List<SdkLayoutEntry> entries = _metadata.LayoutEntries();
        for (int i = 0; i < entries.Count; i++)
        {
            SdkLayoutEntry entry = entries[i];
            if (!entry.IsGroup)
            {
                AddContext(entry, 0);
                continue;
            }

            if (entry.EntryCount > i)
            {
                throw new ImageException((long)entry.Offset, $"a group repeats {entry.EntryCount} entries, but only {i} stand before it");
            }

            Repeat(entry, entries.GetRange(i - entry.EntryCount, entry.EntryCount));
        }
    }

    private void Repeat(SdkLayoutEntry group, List<SdkLayoutEntry> entries)
    {
        if (entries.Exists(static entry => entry.IsGroup))
        {
            throw new ImageException((long)group.Offset, "a group repeats a group");
        }

        // Entries without pages do nothing however often they are repeated.
        entries.RemoveAll(static entry => entry.PageCount == 0);
        if (entries.Count == 0)
        {
            return;
        }

        ulong step = 0;
        for (uint time = 0; time < group.LoadTimes; time++)
        {
            step += group.LoadStep;
            if (group.LoadStep > _metadata.EnclaveSize || step > _metadata.EnclaveSize)
            {
                throw new ImageException(
                    (long)group.Offset,
                    $"a group of {group.LoadTimes} times {FactList.Hex(group.LoadStep)} bytes reaches beyond the enclave");
            }

            foreach (SdkLayoutEntry entry in entries)
            {
                AddContext(entry, step);
            }
        }
    }

    private void AddContext(SdkLayoutEntry entry, ulong delta)
    {
        if (entry.PageCount == 0)
        {
            return;
        }

        if (entry.Rva > _metadata.EnclaveSize)
        {
            throw new ImageException((long)entry.Offset, $"{entry.Name(_threads)} at {FactList.Hex(entry.Rva)} lies outside the enclave");
        }

        // A thread's stack stands before its TCS, its SSA and its data behind.
        ulong rva = entry.Rva + delta;
        int thread = entry.Id is 5 or 6 or 15 or 16 ? Math.Max(_threads - 1, 0) : _threads;
        string name = entry.Name(thread);
        bool isMeasured = entry.Attributes.HasFlag(SdkPageAttributes.EExtend);
        if (entry.Id is 4 or 14)
        {
            _threads++;
        }

        if (!entry.Attributes.HasFlag(SdkPageAttributes.EAdd) || (entry.ContentOffset == 0 && entry.SiFlags == 0))
        {
            _builder.Reserve((long)entry.Offset, _shift + rva, entry.PageCount, name, entry.Use);
            return;
        }

        SecInfoFlags flags = FlagsOf(entry);
        if (entry.ContentOffset == 0)
        {
            Add(entry.Offset, rva, entry.PageCount, flags, isMeasured, Fill(entry.ContentSize), name, entry.Use);
            return;
        }

        ReadOnlyMemory<byte> content = _metadata.InBlock(
            entry.Offset, entry.ContentOffset, entry.ContentSize, "the contents of a layout entry");
        if (entry.IsTcs)
        {
            Add(entry.Offset, rva, entry.PageCount, flags, isMeasured, TcsPage(entry, content, rva), name, entry.Use);
        }
        else if ((ulong)content.Length > entry.PageCount * Page)
        {
            throw new ImageException(
                (long)entry.Offset, $"the {content.Length} bytes of {name} do not fit into its {entry.PageCount} pages");
        }
        else
        {
            // Such pages are measured whatever the attributes say: build_mem_region knows no others.
            Add(entry.Offset, rva, entry.PageCount, flags, true, PageContent.Of(content), name, entry.Use);
        }
    }

    private static SecInfoFlags FlagsOf(SdkLayoutEntry entry)
    {
        SecInfo info = new() { Flags = (SecInfoFlags)entry.SiFlags };
        return (info.Flags & ~(SecInfoFlags.RWX | SecInfoFlags.PageTypeMask)) == 0 && info.PageType is PageType.PT_REG or PageType.PT_TCS
            ? info.Flags
            : throw new ImageException((long)entry.Offset, $"pages with SECINFO.FLAGS {FactList.Hex(entry.SiFlags)} cannot be added");
    }

    private static PageContent Fill(uint word) => word == 0 ? PageContent.Zero : new FilledContent(word);

    // The template's offsets are relative to the TCS itself. All pages of an entry get the same contents.
    private static TcsContent TcsPage(SdkLayoutEntry entry, ReadOnlyMemory<byte> template, ulong rva) =>
        template.Length <= PageContent.PageSize
            ? new TcsContent(template, rva)
            : throw new ImageException((long)entry.Offset, $"the template of a TCS has {template.Length} bytes, more than a page");

    private void Add(
        ulong where, ulong rva, ulong pages, SecInfoFlags flags, bool isMeasured, PageContent content, string name,
        PageUse use = PageUse.Image) =>
        _builder.Add(
            (long)where, new PageRun(_shift + rva, pages, flags, isMeasured ? PageRun.AllChunks : (ushort)0, content, name) { Use = use });

    private static ulong RoundUp(SdkSegment segment, ulong bytes) => bytes <= ulong.MaxValue - Page
        ? (bytes + Page - 1) / Page * Page
        : throw new ImageException((long)segment.Where, $"{segment.Name} reaches beyond all addresses");
}
