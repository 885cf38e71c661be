using System.Buffers.Binary;

namespace SoftSgx.Processor.Model;

/// <summary>
/// The XSAVE area of an SSA frame in the standard format, as one array that is cut into pages at the end.
/// SDM vol. 1, "XSAVE area" and "Operation of XRSTOR".
/// </summary>
public sealed partial class ModelProcessor
{
    private const int Header = 512;
    private static readonly (int From, int To)[] X87Parts = [(0, 24), (32, 160)];
    private static readonly (int From, int To)[] SseParts = [(160, 416)];

    /// <summary>Bytes of an image with those components.</summary>
    public int XsaveSize(ulong xfrm) =>
        Math.Max(576, configuration.XsaveComponents.Where(c => (xfrm >> c.Index & 1) != 0).Select(c => c.Offset + c.Size).DefaultIfEmpty().Max());

    private void SaveXsave(IReadOnlyList<int> pages, ulong xfrm, Span<byte> image)
    {
        ulong present = BinaryPrimitives.ReadUInt64LittleEndian(image[Header..]) & xfrm;
        byte[] area = ReadPages(pages);
        area.AsSpan(416, 96).Clear();
        area.AsSpan(Header, 24).Clear();
        image[24..32].CopyTo(area.AsSpan(24));
        foreach ((int index, (int From, int To)[] parts) in Components(xfrm))
        {
            foreach ((int from, int to) in parts)
            {
                CopyOrInitialize(image, area, index, from, to, (present >> index & 1) != 0);
            }
        }

        BinaryPrimitives.WriteUInt64LittleEndian(area.AsSpan(Header), present);
        WritePages(pages, area);
        InitializeXsave(xfrm, image);
    }

    /// <summary>False, and nothing is loaded, for an image that XRSTOR refuses.</summary>
    private bool LoadXsave(IReadOnlyList<int> pages, ulong xfrm, Span<byte> image)
    {
        byte[] area = ReadPages(pages);
        ulong present = BinaryPrimitives.ReadUInt64LittleEndian(area.AsSpan(Header));
        uint mxcsr = BinaryPrimitives.ReadUInt32LittleEndian(area.AsSpan(24));
        if ((present & ~xfrm) != 0) return false;
        if (area.AsSpan(Header + 8, 16).ContainsAnyExcept((byte)0)) return false;
        if ((mxcsr & ~configuration.MxcsrMask) != 0) return false;

        SetComponents(xfrm, image, area, present, mxcsr);
        return true;
    }

    private void InitializeXsave(ulong xfrm, Span<byte> image) => SetComponents(xfrm, image, [], present: 0, mxcsr: 0x1F80);

    /// <summary>The thread's image afterwards: x87 and SSE count as present, for their bytes are explicit.</summary>
    private void SetComponents(ulong xfrm, Span<byte> image, ReadOnlySpan<byte> area, ulong present, uint mxcsr)
    {
        foreach ((int index, (int From, int To)[] parts) in Components(xfrm))
        {
            foreach ((int from, int to) in parts)
            {
                CopyOrInitialize(area, image, index, from, to, (present >> index & 1) != 0);
            }
        }

        BinaryPrimitives.WriteUInt32LittleEndian(image[24..], mxcsr);
        ulong other = BinaryPrimitives.ReadUInt64LittleEndian(image[Header..]) & ~xfrm;
        BinaryPrimitives.WriteUInt64LittleEndian(image[Header..], other | present | 3);
    }

    private IEnumerable<(int Index, (int From, int To)[] Parts)> Components(ulong xfrm)
    {
        yield return (0, X87Parts);
        yield return (1, SseParts);
        foreach ((int index, int offset, int size) in configuration.XsaveComponents)
        {
            if ((xfrm >> index & 1) != 0)
            {
                yield return (index, [(offset, offset + size)]);
            }
        }
    }

    private static void CopyOrInitialize(ReadOnlySpan<byte> source, Span<byte> target, int index, int from, int to, bool present)
    {
        Span<byte> part = target[from..to];
        if (present)
        {
            source[from..to].CopyTo(part);
            return;
        }

        part.Clear();
        if (index == 0 && from == 0)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(part, 0x37F);
        }
    }

    private byte[] ReadPages(IReadOnlyList<int> pages) => [.. pages.SelectMany(page => Contents[page])];

    private void WritePages(IReadOnlyList<int> pages, byte[] area)
    {
        for (int i = 0; i < pages.Count; i++)
        {
            area.AsSpan(i * 4096, 4096).CopyTo(Contents[pages[i]]);
        }
    }
}
