using System.Buffers.Binary;

namespace SoftSgx.Simulation;

/// <summary>Writes the binary format of traces; <see cref="BinaryTrace"/> draws it.</summary>
internal sealed class BinaryTraceWriter : TraceWriter
{
    private const int LongestRecord = 1 + (4 * 10);

    private readonly Stream _stream;
    private readonly byte[] _buffer = new byte[1 << 16];
    private readonly ulong[] _next;
    private int _at;
    private int _enclave;
    private int _thread;
    private ulong _accesses;

    public BinaryTraceWriter(Stream stream, IReadOnlyList<TraceEnclave> enclaves)
    {
        _stream = stream;
        _next = new ulong[enclaves.Count];
        Span<byte> header = Reserve(BinaryTrace.HeaderLength);
        BinaryTrace.Magic.CopyTo(header);
        BinaryPrimitives.WriteUInt16LittleEndian(header[BinaryTrace.VersionOffset..], BinaryTrace.Version);
        BinaryPrimitives.WriteUInt16LittleEndian(header[BinaryTrace.CountOffset..], checked((ushort)enclaves.Count));
        _at += BinaryTrace.HeaderLength;
        foreach (TraceEnclave enclave in enclaves)
        {
            Span<byte> entry = Reserve(BinaryTrace.EnclaveLength);
            BinaryPrimitives.WriteUInt64LittleEndian(entry, enclave.Pages);
            BinaryPrimitives.WriteInt32LittleEndian(entry[8..], enclave.Threads);
            _at += BinaryTrace.EnclaveLength;
        }
    }

    /// <inheritdoc/>
    public override void Write(ReadOnlySpan<TraceRun> runs)
    {
        foreach (TraceRun run in runs)
        {
            Reserve(LongestRecord);
            Write(run);
        }
    }

    /// <inheritdoc/>
    public override void Complete()
    {
        Reserve(LongestRecord);
        _buffer[_at++] = BinaryTrace.End;
        WriteNumber(_accesses);
        Flush();
        _stream.Flush();
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing) => _stream.Dispose();

    private void Write(in TraceRun run)
    {
        ulong delta = BinaryTrace.ToZigZag(unchecked(run.Page - _next[run.Enclave]));
        int head = run.IsWrite ? BinaryTrace.IsWrite : 0;
        head |= run.Enclave != _enclave ? BinaryTrace.HasEnclave : 0;
        head |= run.Thread != _thread ? BinaryTrace.HasThread : 0;
        head |= run.Length != 1 ? BinaryTrace.HasLength : 0;
        head |= (int)Math.Min(delta, BinaryTrace.LongDelta) << BinaryTrace.DeltaShift;
        _buffer[_at++] = (byte)head;
        if (run.Enclave != _enclave)
        {
            _enclave = run.Enclave;
            WriteNumber(run.Enclave);
        }

        if (run.Thread != _thread)
        {
            _thread = run.Thread;
            WriteNumber(run.Thread);
        }

        if (run.Length != 1)
        {
            WriteNumber(run.Length - 2);
        }

        if (delta >= BinaryTrace.LongDelta)
        {
            WriteNumber(delta);
        }

        _next[run.Enclave] = run.Page + run.Length;
        _accesses += run.Length;
    }

    private void WriteNumber(ulong value)
    {
        while (value > 0x7F)
        {
            _buffer[_at++] = (byte)(value | 0x80);
            value >>= 7;
        }

        _buffer[_at++] = (byte)value;
    }

    private Span<byte> Reserve(int bytes)
    {
        if (_buffer.Length - _at < bytes)
        {
            Flush();
        }

        return _buffer.AsSpan(_at, bytes);
    }

    private void Flush()
    {
        _stream.Write(_buffer, 0, _at);
        _at = 0;
    }
}
