namespace SoftSgx.Simulation;

/// <summary>The bytes of a trace, through one buffer of fixed size.</summary>
/// <param name="stream">Where they come from; disposed of with this.</param>
internal sealed class TraceInput(Stream stream) : IDisposable
{
    private readonly byte[] _buffer = new byte[1 << 16];
    private readonly long _total = stream.CanSeek ? stream.Length : 0;
    private int _at;
    private int _end;
    private long _before;

    /// <summary>Offset of the next byte.</summary>
    public long Offset => _before + _at;

    /// <summary>How much was read, from 0 to 1; 0 if nobody knows how much there is.</summary>
    public double Fraction => _total == 0 ? 0 : (double)Offset / _total;

    /// <summary>The next bytes, not consumed; fewer than asked for only at the end.</summary>
    /// <param name="count">How many at most; far less than the buffer.</param>
    public ReadOnlySpan<byte> Peek(int count)
    {
        if (_end - _at < count)
        {
            _buffer.AsSpan(_at, _end - _at).CopyTo(_buffer);
            _before += _at;
            _end -= _at;
            _at = 0;
            while (_end < count && stream.Read(_buffer, _end, _buffer.Length - _end) is var read and > 0)
            {
                _end += read;
            }
        }

        return _buffer.AsSpan(_at, Math.Min(count, _end - _at));
    }

    /// <summary>Consumes bytes that <see cref="Peek"/> showed.</summary>
    public void Skip(int count) => _at += count;

    /// <summary>Consumes the next byte.</summary>
    /// <returns>The byte, or −1 at the end.</returns>
    public int ReadByte()
    {
        if (_at == _end && Peek(1).IsEmpty)
        {
            return -1;
        }

        return _buffer[_at++];
    }

    /// <inheritdoc/>
    public void Dispose() => stream.Dispose();
}
