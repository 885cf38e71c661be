using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using SoftSgx.Architecture;
using SoftSgx.Images;

namespace SoftSgx.Cli.Measuring;

/// <summary>
/// What <c>softsgx measure --trace</c> writes: each operation that enters MRENCLAVE, one a line. The lines of two builds can be compared
/// by any tool, because nothing stands in them but what is measured.
/// </summary>
internal sealed class OperationTrace(Stream output, bool json) : IMeasurementTrace
{
    private const int ChunkLength = 256;
    private const int ChunksOfPage = 16;

    // Digests of the last page's chunks by their place: in a run of equal pages they are computed once.
    private readonly byte[] _chunks = new byte[ChunksOfPage * ChunkLength];
    private readonly byte[][] _digests = new byte[ChunksOfPage][];
    private readonly byte[] _line = new byte[256];
    private int _length;

    /// <inheritdoc/>
    public void Created(ulong size, uint ssaFrameSize)
    {
        Text(json ? "{\"op\":\"ECREATE\",\"size\":\""u8 : "ECREATE size "u8);
        Number(size);
        Text(json ? "\",\"ssaFrameSize\":"u8 : " ssaframesize "u8);
        Text(Encoding.ASCII.GetBytes(ssaFrameSize.ToString(System.Globalization.CultureInfo.InvariantCulture)));
        End();
    }

    /// <inheritdoc/>
    public void Added(ulong offset, SecInfoFlags flags)
    {
        Text(json ? "{\"op\":\"EADD\",\"offset\":\""u8 : "EADD    "u8);
        Number(offset);
        Text(json ? "\",\"type\":\""u8 : " "u8);
        Text(Encoding.ASCII.GetBytes(PageNames.Type(flags)));
        Text(json ? "\",\"permissions\":\""u8 : " "u8);
        Text(Encoding.ASCII.GetBytes(PageNames.Permissions(flags)));
        Text(json ? "\""u8 : ""u8);
        End();
    }

    /// <inheritdoc/>
    public void Extended(ulong offset, ReadOnlySpan<byte> chunk)
    {
        Text(json ? "{\"op\":\"EEXTEND\",\"offset\":\""u8 : "EEXTEND "u8);
        Number(offset);
        Text(json ? "\",\"sha256\":\""u8 : " "u8);
        Text(Digest((int)(offset / ChunkLength % ChunksOfPage), chunk));
        Text(json ? "\""u8 : ""u8);
        End();
    }

    private byte[] Digest(int index, ReadOnlySpan<byte> chunk)
    {
        Span<byte> known = _chunks.AsSpan(index * ChunkLength, ChunkLength);
        if (_digests[index] is not { } digest || !chunk.SequenceEqual(known))
        {
            chunk.CopyTo(known);
            digest = Encoding.ASCII.GetBytes(Convert.ToHexStringLower(SHA256.HashData(chunk)));
            _digests[index] = digest;
        }

        return digest;
    }

    private void Text(ReadOnlySpan<byte> text)
    {
        text.CopyTo(_line.AsSpan(_length));
        _length += text.Length;
    }

    private void Number(ulong value)
    {
        Text("0x"u8);
        Utf8Formatter.TryFormat(value, _line.AsSpan(_length), out int written, new System.Buffers.StandardFormat('x', 16));
        _length += written;
    }

    private void End()
    {
        Text(json ? "}\n"u8 : "\n"u8);
        output.Write(_line, 0, _length);
        _length = 0;
    }
}
