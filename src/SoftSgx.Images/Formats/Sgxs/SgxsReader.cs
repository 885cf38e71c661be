using System.Buffers.Binary;
using System.Globalization;
using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>
/// Reads SGXS streams: the bytes that ECREATE, EADD and EEXTEND hash into MRENCLAVE, one behind the other, with the contents that EEXTEND
/// leaves out put behind its record. Fortanix's tools add contents that are not measured (UNMEASRD) and a size not yet known (UNSIZED).
/// </summary>
/// <remarks>
/// <code>
///           0 .. 8        8                    16
/// ECREATE   "ECREATE\0"   SSAFRAMESIZE (4)     SIZE at 12 (8)
/// EADD      "EADD\0\0\0\0" offset (8)          first 48 bytes of SECINFO
/// EEXTEND   "EEXTEND\0"   offset (8)           zeros; then 256 bytes of contents
/// </code>
/// A stream is read anew each time that its layout is enumerated and is never held as a whole, so it can be as long as it likes.
/// Canonical ones only: pages by rising offset, the chunks of a page behind its EADD, by rising offset.
/// </remarks>
internal sealed class SgxsReader
{
    internal const int RecordSize = 64;
    internal const int ChunkSize = 256;
    private const int ChunksPerPage = PageContent.PageSize / ChunkSize;
    private const ulong ChunkRecord = RecordSize + ChunkSize;

    private readonly ImageSource _source;
    private readonly ulong _size;

    private SgxsReader(ImageSource source, ulong size)
    {
        _source = source;
        _size = size;
    }

    internal static ReadOnlySpan<byte> ECreate => "ECREATE\0"u8;

    internal static ReadOnlySpan<byte> Unsized => "UNSIZED\0"u8;

    internal static ReadOnlySpan<byte> EAdd => "EADD\0\0\0\0"u8;

    internal static ReadOnlySpan<byte> EExtend => "EEXTEND\0"u8;

    internal static ReadOnlySpan<byte> Unmeasured => "UNMEASRD"u8;

    internal static EnclaveImage Read(ImageSource source)
    {
        byte[] record = new byte[RecordSize];
        source.ReadExactly(0, record, "the first record");
        bool isSized = record.AsSpan().StartsWith(ECreate);
        if (!isSized && !record.AsSpan().StartsWith(Unsized))
        {
            throw new ImageException(0, "the stream does not begin with ECREATE");
        }

        uint ssaFrameSize = BinaryPrimitives.ReadUInt32LittleEndian(record.AsSpan(8));
        ulong size = BinaryPrimitives.ReadUInt64LittleEndian(record.AsSpan(12));
        CheckZero(record.AsSpan(20), 20);
        FactList facts = new FactList("SGXS stream", 0).Text("first record", isSized ? "ECREATE" : "UNSIZED")
            .Count("SSAFRAMESIZE", ssaFrameSize);
        if (!isSized)
        {
            return new EnclaveImage
            {
                Format = "SGXS stream, without a size",
                Kind = ImageKind.Sgxs,
                Facts = [facts.Hex("where the size goes, too", size).Build()],
                Notes = [
                    "The enclave's size is not set yet; with it the layout is complete (sgxs-append, or the linker of the enclave, "
                        + "sets it)."],
            };
        }

        LayoutBuilder.CheckSize(size, 12);
        return new EnclaveImage
        {
            Format = "SGXS stream",
            Kind = ImageKind.Sgxs,
            Layout = new EnclaveLayout(size, ssaFrameSize, new SgxsRuns(new SgxsReader(source, size))),
            Facts = [facts.Hex("SIZE", size).Build()],
        };
    }

    // The pages, equal neighbours together.
    private IEnumerable<PageRun> Runs()
    {
        Page? first = null;
        Page last = default;
        ulong count = 0;
        int number = 0;
        foreach (Page page in Pages())
        {
            if (first is { } run && page.Follows(last))
            {
                count++;
            }
            else
            {
                if (first is { } done)
                {
                    yield return Run(done, count, number++);
                }

                first = page;
                count = 1;
            }

            last = page;
        }

        if (first is { } rest)
        {
            yield return Run(rest, count, number);
        }
    }

    private PageRun Run(Page page, ulong count, int number) => new(
        page.Offset,
        count,
        page.Flags,
        page.Measured,
        page.Included == 0 ? PageContent.Zero : new Contents(_source, page.Position, page.Stride, page.Included),
        string.Create(CultureInfo.InvariantCulture, $"{(IsTcs(page) ? "TCS" : "pages")} {number}"))
    {
        Use = IsTcs(page) ? PageUse.Tcs : PageUse.Unknown,
    };

    private static bool IsTcs(Page page) => new SecInfo { Flags = page.Flags }.PageType == PageType.PT_TCS;

    private IEnumerable<Page> Pages()
    {
        using BufferedRecords records = new(_source);
        records.Skip();
        Page page = default;
        bool isPage = false;
        ulong smallest = 0;
        while (records.Next())
        {
            if (records.Is(EAdd))
            {
                if (isPage)
                {
                    yield return page;
                }

                page = NewPage(records, smallest);
                smallest = page.Offset + PageContent.PageSize;
                isPage = true;
            }
            else
            {
                page = records.Is(EExtend) || records.Is(Unmeasured)
                    ? AddChunk(records, page, isPage)
                    : throw new ImageException(records.Position, "here stands no record of an SGXS stream (EADD, EEXTEND or UNMEASRD)");
            }
        }

        if (isPage)
        {
            yield return page;
        }
    }

    private Page NewPage(BufferedRecords records, ulong smallest)
    {
        ulong offset = records.U64(8);
        SecInfoFlags flags = (SecInfoFlags)records.U64(16);
        CheckZero(records.Rest(24), records.Position + 24);
        if (offset % PageContent.PageSize != 0 || offset > _size - PageContent.PageSize)
        {
            throw new ImageException(
                records.Position + 8,
                $"the page at {FactList.Hex(offset)} is not aligned, or lies beyond the enclave's size {FactList.Hex(_size)}");
        }

        if (offset < smallest)
        {
            throw new ImageException(
                records.Position + 8,
                $"the page at {FactList.Hex(offset)} stands behind one of a higher offset: the stream is not canonical");
        }

        if ((flags & ~(SecInfoFlags.RWX | SecInfoFlags.PageTypeMask)) != 0)
        {
            throw new ImageException(records.Position + 16, $"SECINFO.FLAGS {FactList.Hex((ulong)flags)} has bits that EADD refuses");
        }

        return new Page(offset, flags, records.Position, 0, 0);
    }

    private static Page AddChunk(BufferedRecords records, Page page, bool isPage)
    {
        ulong offset = records.U64(8);
        CheckZero(records.Rest(16), records.Position + 16);
        if (!isPage || offset % ChunkSize != 0 || offset < page.Offset || offset - page.Offset >= PageContent.PageSize)
        {
            throw new ImageException(records.Position + 8, $"the chunk at {FactList.Hex(offset)} is none of the page added before it");
        }

        int chunk = (int)((offset - page.Offset) / ChunkSize);
        if (page.Included >> chunk != 0)
        {
            throw new ImageException(
                records.Position + 8,
                $"the chunk at {FactList.Hex(offset)} does not follow the one before it: the stream is not canonical");
        }

        ushort bit = (ushort)(1 << chunk);
        bool isMeasured = records.Is(EExtend);
        records.SkipContents();
        return page with
        {
            Included = (ushort)(page.Included | bit),
            Measured = isMeasured ? (ushort)(page.Measured | bit) : page.Measured,
        };
    }

    private static void CheckZero(ReadOnlySpan<byte> bytes, long offset)
    {
        int found = bytes.IndexOfAnyExcept((byte)0);
        if (found >= 0)
        {
            throw new ImageException(offset + found, "a reserved byte of a record is not zero");
        }
    }

    // Position: of its EADD. Included: chunks whose contents stand in the stream; they follow the EADD in order.
    private readonly record struct Page(ulong Offset, SecInfoFlags Flags, long Position, ushort Included, ushort Measured)
    {
        internal ulong Stride => RecordSize + ((ulong)ushort.PopCount(Included) * ChunkRecord);

        internal bool Follows(Page other) =>
            Offset == other.Offset + PageContent.PageSize
                && Flags == other.Flags
                && Included == other.Included
                && Measured == other.Measured;
    }

    private sealed class SgxsRuns(SgxsReader reader) : IEnumerable<PageRun>
    {
        public IEnumerator<PageRun> GetEnumerator() => reader.Runs().GetEnumerator();

        System.Collections.IEnumerator System.Collections.IEnumerable.GetEnumerator() => GetEnumerator();
    }

    // The records of a stream, read in large pieces.
    private sealed class BufferedRecords(ImageSource source) : IDisposable
    {
        private const int BufferSize = 1 << 16;

        private readonly byte[] _buffer = System.Buffers.ArrayPool<byte>.Shared.Rent(BufferSize);
        private long _bufferStart;
        private int _bufferLength;
        private long _next;

        /// <summary>Where the record stands.</summary>
        internal long Position { get; private set; }

        internal void Skip() => _next = RecordSize;

        /// <summary>Goes to the next record; false at the end.</summary>
        internal bool Next()
        {
            Position = _next;
            if (Position >= source.Length)
            {
                return false;
            }

            if (Position < _bufferStart || Position + RecordSize > _bufferStart + _bufferLength)
            {
                _bufferStart = Position;
                _bufferLength = source.Read(Position, _buffer.AsSpan(0, BufferSize));
                if (_bufferLength < RecordSize)
                {
                    throw new ImageException(Position, $"a record ({RecordSize} bytes) reaches beyond the end of the file");
                }
            }

            _next = Position + RecordSize;
            return true;
        }

        internal void SkipContents()
        {
            if (source.Length - _next < ChunkSize)
            {
                throw new ImageException(_next, $"a chunk's contents ({ChunkSize} bytes) reach beyond the end of the file");
            }

            _next += ChunkSize;
        }

        internal bool Is(ReadOnlySpan<byte> tag) => Rest(0).StartsWith(tag);

        internal ulong U64(int offset) => BinaryPrimitives.ReadUInt64LittleEndian(Rest(offset));

        internal ReadOnlySpan<byte> Rest(int offset) => _buffer.AsSpan((int)(Position - _bufferStart) + offset, RecordSize - offset);

        public void Dispose() => System.Buffers.ArrayPool<byte>.Shared.Return(_buffer);
    }

    // Pages of a run: so many bytes of the stream each, their chunks behind the EADD.
    private sealed class Contents(ImageSource source, long position, ulong stride, ushort included) : PageContent
    {
        public override bool IsUniform => false;

        public override void Read(ulong index, Span<byte> page)
        {
            page[..PageSize].Clear();
            Span<byte> records = stackalloc byte[RecordSize + (ChunksPerPage * (RecordSize + ChunkSize))];
            records = records[..(int)stride];
            long start = position + (long)(index * stride);
            source.ReadExactly(start, records, "a page");
            int at = RecordSize;
            for (int chunk = 0; chunk < ChunksPerPage; chunk++)
            {
                if ((included & (1 << chunk)) != 0)
                {
                    records.Slice(at + RecordSize, ChunkSize).CopyTo(page[(chunk * ChunkSize)..]);
                    at += RecordSize + ChunkSize;
                }
            }
        }
    }
}
