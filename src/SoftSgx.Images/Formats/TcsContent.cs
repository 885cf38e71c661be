using System.Buffers.Binary;

namespace SoftSgx.Images;

/// <summary>A TCS page made of its first bytes; made when it is read, since a file can ask for very many.</summary>
/// <param name="start">Its first bytes, at most a page; zeros follow.</param>
/// <param name="delta">What is added to OSSA, OFSBASE and OGSBASE.</param>
internal sealed class TcsContent(ReadOnlyMemory<byte> start, ulong delta) : PageContent
{
    private const int OSsa = 16;
    private const int OFsBase = 48;
    private const int OGsBase = 56;

    /// <summary>Bytes of the fields that are not always zero.</summary>
    internal const int FieldsLength = 72;

    public override bool IsUniform => true;

    public override void Read(ulong index, Span<byte> page)
    {
        page[..PageSize].Clear();
        start.Span.CopyTo(page);
        foreach (int field in (ReadOnlySpan<int>)[OSsa, OFsBase, OGsBase])
        {
            Span<byte> bytes = page.Slice(field, sizeof(ulong));
            BinaryPrimitives.WriteUInt64LittleEndian(bytes, BinaryPrimitives.ReadUInt64LittleEndian(bytes) + delta);
        }
    }
}

/// <summary>Pages of one word over and over; made when they are read.</summary>
/// <param name="word">The word.</param>
internal sealed class FilledContent(uint word) : PageContent
{
    public override bool IsUniform => true;

    public override void Read(ulong index, Span<byte> page)
    {
        for (int i = 0; i < PageSize; i += sizeof(uint))
        {
            BinaryPrimitives.WriteUInt32LittleEndian(page[i..], word);
        }
    }
}
