using System.Globalization;
using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>
/// Reads enclaves laid out as the Linux kernel's selftests do: the first loadable segment holds TCS pages, then regular pages as the
/// segments say, then a heap that is not measured. Linux, tools/testing/selftests/sgx/load.c and test_encl.lds.
/// </summary>
internal static class SelftestReader
{
    internal const string TcsSection = ".tcs";

    private const ulong Page = PageContent.PageSize;

    /// <summary>Bytes of heap of most of the tests (ENCL_HEAP_SIZE_DEFAULT); one test's is as large as the EPC.</summary>
    private const ulong HeapSize = Page;

    private const uint SsaFrameSize = 1;

    internal static EnclaveImage Read(ElfFile elf)
    {
        List<ElfSegment> segments = [.. elf.Segments.Where(static segment => segment.Type == ElfSegment.TypeLoad)];
        if (segments.Count == 0)
        {
            throw new ImageException("it has no loadable segment");
        }

        if (segments[0].Permissions != (SecInfoFlags.R | SecInfoFlags.W) || segments[0].HasOtherFlags)
        {
            throw new ImageException((long)segments[0].HeaderOffset, "its first segment, which holds the TCS pages, is not RW");
        }

        ulong start = segments[0].FileOffset / Page * Page;
        ulong end = segments[^1].FileOffset / Page * Page;
        if (end < start)
        {
            throw new ImageException((long)segments[^1].HeaderOffset, "its last segment stands before the first one in the file");
        }

        ulong heap = end - start + RoundUp(segments[^1].FileSize);
        ulong size = Page;
        while (size < heap + HeapSize)
        {
            size <<= 1;
        }

        LayoutBuilder builder = new(size, SsaFrameSize);
        PatchedBytes bytes = new(elf.Bytes);
        for (int i = 0; i < segments.Count; i++)
        {
            Add(elf, builder, bytes, segments[i], start, i);
        }

        const SecInfoFlags HeapPermissions = SecInfoFlags.R | SecInfoFlags.W;
        builder.Add(
            (long)segments[^1].HeaderOffset,
            new PageRun(heap, HeapSize / Page, LayoutBuilder.Flags(PageType.PT_REG, HeapPermissions), 0, PageContent.Zero, "heap")
            {
                Use = PageUse.Heap,
            });
        return new EnclaveImage
        {
            Format = "enclave of the Linux kernel's selftests (ELF)",
            Kind = ImageKind.KernelSelftest,
            Layout = builder.Build(),
            Facts = [elf.Facts()],
            Notes =
            [
                "The file does not say how large the heap is: the layout has that of most of the tests, one page.",
                "It is signed when it is loaded, with a key of the test's.",
            ],
        };
    }

    private static void Add(ElfFile elf, LayoutBuilder builder, PatchedBytes bytes, ElfSegment segment, ulong start, int number)
    {
        if (segment.HasOtherFlags)
        {
            throw new ImageException(
                (long)segment.HeaderOffset, $"segment {number} has flags {FactList.Hex(segment.Flags)} besides R, W and X");
        }

        ulong from = segment.FileOffset / Page * Page;
        ulong length = RoundUp(segment.FileSize);
        if (from < start)
        {
            throw new ImageException((long)segment.HeaderOffset, $"segment {number} stands before the first one in the file");
        }

        if (length == 0)
        {
            return;
        }

        // The pages are the file's: what stands behind a segment in its last page, and is in the file, is added with it.
        ulong inFile = Math.Min(length, elf.Bytes.Length - from);
        builder.Add((long)segment.HeaderOffset, new PageRun(
            from - start,
            length / Page,
            number == 0
                ? LayoutBuilder.Flags(PageType.PT_TCS, SecInfoFlags.None)
                : LayoutBuilder.Flags(PageType.PT_REG, segment.Permissions),
            PageRun.AllChunks,
            new SegmentContent(bytes, from, inFile, 0),
            number == 0 ? "TCS pages" : string.Create(CultureInfo.InvariantCulture, $"segment {number}"))
        {
            Use = number == 0 ? PageUse.Tcs : PageUse.Image,
        });
    }

    private static ulong RoundUp(ulong bytes) => (bytes + Page - 1) / Page * Page;
}
