namespace SoftSgx.Images.Tests.Writers;

/// <summary>Writes SGXS streams.</summary>
internal sealed class SgxsWriter
{
    private readonly ByteWriter _stream = new();

    internal SgxsWriter(ulong size, uint ssaFrameSize = 1, bool isSized = true)
    {
        _stream.At(0, 64);
        _stream.Put(0, isSized ? "ECREATE\0"u8 : "UNSIZED\0"u8).U32(8, ssaFrameSize).U64(12, size);
    }

    internal SgxsWriter Page(ulong offset, ulong flags, ReadOnlySpan<byte> contents, ushort measured = 0xffff, ushort unmeasured = 0)
    {
        int at = _stream.Length;
        _stream.At(at, 64);
        _stream.Put(at, "EADD\0\0\0\0"u8).U64(at + 8, offset).U64(at + 16, flags);
        for (int chunk = 0; chunk < 16; chunk++)
        {
            bool isMeasured = (measured & (1 << chunk)) != 0;
            if (isMeasured || (unmeasured & (1 << chunk)) != 0)
            {
                Chunk(offset + ((ulong)chunk * 256), isMeasured, contents.Slice(chunk * 256, 256));
            }
        }

        return this;
    }

    internal SgxsWriter Chunk(ulong offset, bool isMeasured, ReadOnlySpan<byte> contents)
    {
        int at = _stream.Length;
        _stream.At(at, 64);
        _stream.Put(at, isMeasured ? "EEXTEND\0"u8 : "UNMEASRD"u8).U64(at + 8, offset).Put(at + 64, contents);
        return this;
    }

    internal byte[] Build() => _stream.ToArray();
}
