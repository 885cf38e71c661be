using System.Buffers.Binary;
using System.Globalization;
using System.Text;

namespace SoftSgx.Images;

/// <summary>
/// A file's bytes, of which nothing is read that is not there: every access names what it wants and says where it is missing.
/// </summary>
internal sealed class ImageBytes(ReadOnlyMemory<byte> bytes)
{
    /// <summary>The longest name that is read: tables of a hostile file can have thousands of names that share their bytes.</summary>
    private const int LongestName = 256;

    internal ulong Length => (ulong)bytes.Length;

    internal ReadOnlyMemory<byte> All => bytes;

    /// <summary>True if so many bytes are there.</summary>
    internal bool Has(ulong offset, ulong length) => offset <= Length && length <= Length - offset;

    internal ReadOnlyMemory<byte> Memory(ulong offset, ulong length, string what)
    {
        if (!Has(offset, length))
        {
            throw new ImageException(
                (long)Math.Min(offset, long.MaxValue),
                string.Create(CultureInfo.InvariantCulture, $"{what} ({length} bytes) reaches beyond the end of the file at 0x{Length:x}"));
        }

        return bytes.Slice((int)offset, (int)length);
    }

    internal ReadOnlySpan<byte> Span(ulong offset, ulong length, string what) => Memory(offset, length, what).Span;

    internal ushort U16(ulong offset, string what) => BinaryPrimitives.ReadUInt16LittleEndian(Span(offset, sizeof(ushort), what));

    internal uint U32(ulong offset, string what) => BinaryPrimitives.ReadUInt32LittleEndian(Span(offset, sizeof(uint), what));

    internal ulong U64(ulong offset, string what) => BinaryPrimitives.ReadUInt64LittleEndian(Span(offset, sizeof(ulong), what));

    /// <summary>A text that ends in a zero byte.</summary>
    /// <param name="offset">Its first byte.</param>
    /// <param name="end">Where the table ends in which it stands.</param>
    /// <param name="what">What it is.</param>
    internal string Name(ulong offset, ulong end, string what)
    {
        ulong limit = Math.Min(end, Length);
        if (offset >= limit)
        {
            throw new ImageException((long)Math.Min(offset, long.MaxValue), $"{what} lies outside its table of names");
        }

        ReadOnlySpan<byte> rest = bytes.Span[(int)offset..(int)Math.Min(limit, offset + LongestName)];
        int length = rest.IndexOf((byte)0);
        return length >= 0
            ? Encoding.Latin1.GetString(rest[..length])
            : throw new ImageException((long)offset, $"{what} does not end");
    }

    /// <summary>True if the text at a place is that one, and ends there.</summary>
    internal bool IsName(ulong offset, ReadOnlySpan<byte> name) =>
        Has(offset, (ulong)name.Length + 1)
            && bytes.Span.Slice((int)offset, name.Length).SequenceEqual(name)
            && bytes.Span[(int)offset + name.Length] == 0;
}
