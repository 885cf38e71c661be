using System.Buffers.Binary;

namespace SoftSgx.Simulation;

/// <summary>Reads the binary format of traces; <see cref="BinaryTrace"/> draws it.</summary>
internal sealed class BinaryTraceReader : TraceFileReader
{
    private readonly TraceInput _input;
    private readonly TraceEnclave[] _enclaves;
    private readonly ulong[] _next;
    private int _enclave;
    private int _thread;
    private ulong _accesses;
    private bool _ended;

    /// <summary>Reads the header.</summary>
    public BinaryTraceReader(TraceInput input)
        : base(input)
    {
        _input = input;
        ReadOnlySpan<byte> header = Take(BinaryTrace.HeaderLength);
        int version = BinaryPrimitives.ReadUInt16LittleEndian(header[BinaryTrace.VersionOffset..]);
        int count = BinaryPrimitives.ReadUInt16LittleEndian(header[BinaryTrace.CountOffset..]);
        uint reserved = BinaryPrimitives.ReadUInt32LittleEndian(header[BinaryTrace.ReservedOffset..]);
        if (version != BinaryTrace.Version)
        {
            throw Broken($"the trace has version {version}; this program reads version {BinaryTrace.Version}");
        }

        if (count is 0 or > Trace.MaximumEnclaves || reserved != 0)
        {
            throw Broken($"the header is wrong: {count} enclaves");
        }

        _enclaves = new TraceEnclave[count];
        _next = new ulong[count];
        foreach (ref TraceEnclave enclave in _enclaves.AsSpan())
        {
            ReadOnlySpan<byte> entry = Take(BinaryTrace.EnclaveLength);
            ulong pages = BinaryPrimitives.ReadUInt64LittleEndian(entry);
            uint threads = BinaryPrimitives.ReadUInt32LittleEndian(entry[8..]);
            enclave = new TraceEnclave(pages, (int)Math.Min(threads, int.MaxValue));
            if (BinaryPrimitives.ReadUInt32LittleEndian(entry[12..]) != 0 || enclave.Problem is not null)
            {
                throw Broken(enclave.Problem ?? "the header is wrong");
            }
        }

        Enclaves = _enclaves;
    }

    /// <summary>The bytes start as this format does.</summary>
    public static bool IsBinary(TraceInput input) => input.Peek(BinaryTrace.Magic.Length).SequenceEqual(BinaryTrace.Magic);

    /// <inheritdoc/>
    public override int Read(Span<TraceRun> runs)
    {
        int count = 0;
        while (count < runs.Length && !_ended)
        {
            int head = ReadByte();
            if ((head & BinaryTrace.End) != 0)
            {
                ReadEnd(head);
                break;
            }

            runs[count++] = ReadRun(head);
        }

        return count;
    }

    private TraceRun ReadRun(int head)
    {
        if ((head & BinaryTrace.HasEnclave) != 0)
        {
            _enclave = (int)ReadBelow((ulong)_enclaves.Length, "enclave");
        }

        TraceEnclave owner = _enclaves[_enclave];
        if ((head & BinaryTrace.HasThread) != 0)
        {
            _thread = (int)ReadBelow((ulong)owner.Threads, "thread");
        }
        else if (_thread >= owner.Threads)
        {
            throw Broken($"thread {_thread} is none of enclave {_enclave}");
        }

        ulong length = (head & BinaryTrace.HasLength) != 0 ? ReadBelow(uint.MaxValue - 1, "run length") + 2 : 1;
        ulong delta = (uint)(head >> BinaryTrace.DeltaShift) & BinaryTrace.LongDelta;
        if (delta == BinaryTrace.LongDelta)
        {
            delta = ReadNumber();
        }

        ulong page = unchecked(_next[_enclave] + BinaryTrace.FromZigZag(delta));
        if (page >= owner.Pages || length > owner.Pages - page)
        {
            throw Broken($"page {page}+{length} leaves enclave {_enclave}, which has {owner.Pages} pages");
        }

        _next[_enclave] = page + length;
        _accesses = unchecked(_accesses + length);
        return new TraceRun(page, (uint)length, (ushort)_enclave, (ushort)_thread, (head & BinaryTrace.IsWrite) != 0);
    }

    private void ReadEnd(int head)
    {
        ulong told = ReadNumber();
        if (head != BinaryTrace.End || told != _accesses)
        {
            throw Broken($"the trace ends after {_accesses} accesses and says it has {told}");
        }

        if (!_input.Peek(1).IsEmpty)
        {
            throw Broken("something follows the end of the trace");
        }

        _ended = true;
    }

    private ulong ReadBelow(ulong bound, string what)
    {
        ulong value = ReadNumber();
        return value < bound ? value : throw Broken($"{what} {value} is too large");
    }

    // LEB128: seven bits a byte, the lowest first.
    private ulong ReadNumber()
    {
        ulong value = 0;
        for (int shift = 0; shift < 64; shift += 7)
        {
            int next = ReadByte();
            ulong bits = (ulong)next & 0x7F;
            if (shift == 63 && bits > 1)
            {
                break;
            }

            value |= bits << shift;
            if ((next & 0x80) == 0)
            {
                return value;
            }
        }

        throw Broken("a number is too long");
    }

    private int ReadByte()
    {
        int next = _input.ReadByte();
        return next >= 0 ? next : throw Broken("the trace is cut short");
    }

    private ReadOnlySpan<byte> Take(int count)
    {
        ReadOnlySpan<byte> bytes = _input.Peek(count);
        if (bytes.Length < count)
        {
            throw Broken("the trace is cut short");
        }

        _input.Skip(count);
        return bytes;
    }

    private InvalidDataException Broken(string what) => new($"offset {_input.Offset}: {what}");
}
