using System.Buffers.Binary;

namespace SoftSgx.Images.Tests.Writers;

/// <summary>Bytes that grow as they are written.</summary>
internal sealed class ByteWriter
{
    private byte[] _bytes = new byte[256];

    internal int Length { get; private set; }

    internal byte[] ToArray() => _bytes[..Length];

    /// <summary>Room from a place on, made if there is none.</summary>
    internal Span<byte> At(int offset, int length)
    {
        if (offset + length > _bytes.Length)
        {
            Array.Resize(ref _bytes, Math.Max(_bytes.Length * 2, offset + length));
        }

        Length = Math.Max(Length, offset + length);
        return _bytes.AsSpan(offset, length);
    }

    internal ByteWriter Put(int offset, ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(At(offset, bytes.Length));
        return this;
    }

    internal ByteWriter U16(int offset, int value)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(At(offset, 2), (ushort)value);
        return this;
    }

    internal ByteWriter U32(int offset, uint value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(At(offset, 4), value);
        return this;
    }

    internal ByteWriter U64(int offset, ulong value)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(At(offset, 8), value);
        return this;
    }

    internal int Append(ReadOnlySpan<byte> bytes, int alignment = 1)
    {
        int offset = (Length + alignment - 1) / alignment * alignment;
        Put(offset, bytes);
        return offset;
    }
}
