using System.Runtime.InteropServices;

namespace SoftSgx.Images;

/// <summary>A file's bytes with some of them replaced by a loader before it adds the pages.</summary>
internal sealed class PatchedBytes
{
    private const int PageShift = 12;

    private readonly ImageBytes _bytes;
    private readonly List<(ulong Offset, ReadOnlyMemory<byte> Bytes)> _patches = [];
    private readonly Dictionary<ulong, List<int>> _byPage = [];
    private ulong _patched;

    internal PatchedBytes(ImageBytes bytes) => _bytes = bytes;

    internal int PatchCount => _patches.Count;

    /// <summary>Replaces bytes; a later patch wins over an earlier one.</summary>
    /// <param name="where">Offset into the file of what asks for it.</param>
    /// <param name="offset">Offset into the file of the first byte replaced.</param>
    /// <param name="replacement">What stands there instead.</param>
    internal void Patch(long where, ulong offset, ReadOnlyMemory<byte> replacement)
    {
        if (replacement.IsEmpty)
        {
            return;
        }

        if (!_bytes.Has(offset, (ulong)replacement.Length))
        {
            throw new ImageException(
                where, $"a patch of {replacement.Length} bytes at {FactList.Hex(offset)} reaches beyond the end of the file");
        }

        // Patches of a real file are disjoint, so together they are no longer than the file.
        _patched += (ulong)replacement.Length;
        if (_patched > _bytes.Length)
        {
            throw new ImageException(where, "the patches are together longer than the file");
        }

        for (ulong page = offset >> PageShift; page <= (offset + (ulong)replacement.Length - 1) >> PageShift; page++)
        {
            (CollectionsMarshal.GetValueRefOrAddDefault(_byPage, page, out _) ??= []).Add(_patches.Count);
        }

        _patches.Add((offset, replacement));
    }

    /// <summary>Reads bytes, all of which are in the file.</summary>
    internal void Read(ulong offset, Span<byte> destination)
    {
        _bytes.Span(offset, (ulong)destination.Length, "contents of a page").CopyTo(destination);
        ulong end = offset + (ulong)destination.Length;
        for (ulong page = offset >> PageShift; destination.Length > 0 && page <= (end - 1) >> PageShift; page++)
        {
            if (!_byPage.TryGetValue(page, out List<int>? patches))
            {
                continue;
            }

            foreach (int number in patches)
            {
                (ulong at, ReadOnlyMemory<byte> bytes) = _patches[number];
                ulong from = Math.Max(at, Math.Max(offset, page << PageShift));
                ulong to = Math.Min(at + (ulong)bytes.Length, Math.Min(end, (page + 1) << PageShift));
                if (from < to)
                {
                    bytes.Span[(int)(from - at)..(int)(to - at)].CopyTo(destination[(int)(from - offset)..]);
                }
            }
        }
    }
}

/// <summary>Pages of a segment: its bytes where they lie, zeros before and behind.</summary>
/// <param name="bytes">The file.</param>
/// <param name="fileOffset">Offset of the segment's first byte into the file.</param>
/// <param name="fileSize">Bytes of it in the file.</param>
/// <param name="start">Offset of the segment's first byte into the first page of the run; negative if the run begins later.</param>
internal sealed class SegmentContent(PatchedBytes bytes, ulong fileOffset, ulong fileSize, long start) : PageContent
{
    public override bool IsUniform => false;

    public override void Read(ulong index, Span<byte> page)
    {
        page[..PageSize].Clear();
        Int128 first = ((Int128)index * PageSize) - start;
        Int128 from = Int128.Max(first, 0);
        Int128 to = Int128.Min(first + PageSize, fileSize);
        if (from < to)
        {
            bytes.Read(fileOffset + (ulong)from, page.Slice((int)(from - first), (int)(to - from)));
        }
    }
}
