using System.Text;

namespace SoftSgx.Images.Tests.Writers;

/// <summary>Writes ELF files that are just what a test needs.</summary>
internal sealed class ElfWriter
{
    private const int HeaderSize = 64;
    private const int SegmentSize = 56;
    private const int SectionSize = 64;
    private const int MostSegments = 16;

    private readonly ByteWriter _file = new();
    private readonly List<(
        uint Type, uint Flags, int Offset, ulong Address, int FileSize, ulong MemorySize, ulong Alignment)> _segments = [];
    private readonly List<(
        string Name, uint Type, ulong Address, int Offset, int Size, uint Link, ulong Alignment,
        ulong EntrySize)> _sections = [("", 0, 0, 0, 0, 0, 0, 0)];
    private readonly List<(string Name, ulong Value)> _symbols = [];

    internal ElfWriter() => _file.At(0, HeaderSize + (MostSegments * SegmentSize));

    internal ulong Entry { get; init; } = 0x1000;

    /// <summary>A file of 32 bits; it has no symbols.</summary>
    internal bool Is32 { get; init; }

    internal ByteWriter File => _file;

    /// <summary>Bytes at the next place of the file that goes with an address.</summary>
    internal int Segment(uint type, uint flags, ulong address, ReadOnlySpan<byte> bytes, ulong memorySize, ulong alignment = 4096)
    {
        int offset = (_file.Length + 4095) / 4096 * 4096;
        offset += (int)(address % 4096);
        _file.Put(offset, bytes);
        _segments.Add((type, flags, offset, address, bytes.Length, memorySize, alignment));
        return offset;
    }

    internal int Load(string permissions, ulong address, ReadOnlySpan<byte> bytes, ulong memorySize = 0) =>
        Segment(1, Flags(permissions), address, bytes, Math.Max(memorySize, (ulong)bytes.Length));

    /// <summary>A header over bytes that are there already.</summary>
    internal void Header(uint type, string permissions, int offset, ulong address, int size, ulong alignment = 8) =>
        _segments.Add((type, Flags(permissions), offset, address, size, (ulong)size, alignment));

    internal int Section(string name, uint type, ReadOnlySpan<byte> bytes, ulong address = 0, ulong alignment = 8, ulong entrySize = 0)
    {
        int offset = _file.Append(bytes, 8);
        SectionAt(name, type, offset, bytes.Length, address, alignment, entrySize);
        return offset;
    }

    internal void SectionAt(
        string name, uint type, int offset, int size, ulong address, ulong alignment = 8, ulong entrySize = 0, uint link = 0) =>
        _sections.Add((name, type, address, offset, size, link, alignment, entrySize));

    internal void Symbol(string name, ulong value) => _symbols.Add((name, value));

    internal byte[] Build()
    {
        if (_symbols.Count > 0)
        {
            AddSymbols(".dynsym", 11, ".dynstr");
            AddSymbols(".symtab", 2, ".strtab");
        }

        ByteWriter names = new();
        _sections.Add((".shstrtab", 3, 0, 0, 0, 0, 1, 0));
        int[] nameOffsets = [.. _sections.Select(section => names.Append(Encoding.ASCII.GetBytes(section.Name + "\0")))];
        int namesOffset = _file.Append(names.ToArray());
        _sections[^1] = _sections[^1] with { Offset = namesOffset, Size = names.Length };
        if (Is32)
        {
            return Build32(nameOffsets);
        }

        int table = _file.Append(new byte[_sections.Count * SectionSize], 8);
        for (int i = 0; i < _sections.Count; i++)
        {
            (string _, uint type, ulong address, int offset, int size, uint link, ulong alignment, ulong entrySize) = _sections[i];
            int at = table + (i * SectionSize);
            _file.U32(at, (uint)nameOffsets[i]).U32(at + 4, type).U64(at + 16, address).U64(at + 24, (ulong)offset)
                .U64(at + 32, (ulong)size)
                .U32(at + 40, link).U64(at + 48, alignment).U64(at + 56, entrySize);
        }

        for (int i = 0; i < _segments.Count; i++)
        {
            (uint type, uint flags, int offset, ulong address, int fileSize, ulong memorySize, ulong alignment) = _segments[i];
            int at = HeaderSize + (i * SegmentSize);
            _file.U32(at, type).U32(at + 4, flags).U64(at + 8, (ulong)offset).U64(at + 16, address).U64(at + 24, address)
                .U64(at + 32, (ulong)fileSize).U64(at + 40, memorySize).U64(at + 48, alignment);
        }

        _file.Put(0, [0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1, 0]);
        _file.U16(16, 3).U16(18, 62).U32(20, 1).U64(24, Entry).U64(32, HeaderSize).U64(40, (ulong)table).U16(52, HeaderSize)
            .U16(54, SegmentSize).U16(56, _segments.Count).U16(58, SectionSize).U16(60, _sections.Count).U16(62, _sections.Count - 1);
        return _file.ToArray();
    }

    private byte[] Build32(int[] nameOffsets)
    {
        const int Header32 = 52;
        const int Segment32 = 32;
        const int Section32 = 40;
        int table = _file.Append(new byte[_sections.Count * Section32], 8);
        for (int i = 0; i < _sections.Count; i++)
        {
            (string _, uint type, ulong address, int offset, int size, uint link, ulong alignment, ulong entrySize) = _sections[i];
            int at = table + (i * Section32);
            _file.U32(at, (uint)nameOffsets[i]).U32(at + 4, type).U32(at + 12, (uint)address).U32(at + 16, (uint)offset)
                .U32(at + 20, (uint)size).U32(at + 24, link).U32(at + 32, (uint)alignment).U32(at + 36, (uint)entrySize);
        }

        for (int i = 0; i < _segments.Count; i++)
        {
            (uint type, uint flags, int offset, ulong address, int fileSize, ulong memorySize, ulong alignment) = _segments[i];
            int at = Header32 + (i * Segment32);
            _file.U32(at, type).U32(at + 4, (uint)offset).U32(at + 8, (uint)address).U32(at + 16, (uint)fileSize)
                .U32(at + 20, (uint)memorySize).U32(at + 24, flags).U32(at + 28, (uint)alignment);
        }

        _file.Put(0, [0x7f, (byte)'E', (byte)'L', (byte)'F', 1, 1, 1, 0]);
        _file.U16(16, 3).U16(18, 3).U32(20, 1).U32(24, (uint)Entry).U32(28, Header32).U32(32, (uint)table).U16(40, Header32)
            .U16(42, Segment32).U16(44, _segments.Count).U16(46, Section32).U16(48, _sections.Count).U16(50, _sections.Count - 1);
        return _file.ToArray();
    }

    private void AddSymbols(string name, uint type, string stringsName)
    {
        ByteWriter strings = new();
        strings.Append("\0"u8);
        ByteWriter table = new();
        table.At(0, 24);
        foreach ((string symbol, ulong value) in _symbols)
        {
            int at = table.Length;
            table.U32(at, (uint)strings.Append(Encoding.ASCII.GetBytes(symbol + "\0"))).U16(at + 6, 1).U64(at + 8, value).U64(at + 16, 8);
        }

        Section(stringsName, 3, strings.ToArray());
        int offset = _file.Append(table.ToArray(), 8);
        SectionAt(name, type, offset, table.Length, 0, 8, 24, (uint)_sections.Count - 1);
    }

    private static uint Flags(string permissions) =>
        (permissions.Contains('R', StringComparison.Ordinal) ? 4u : 0)
        | (permissions.Contains('W', StringComparison.Ordinal) ? 2u : 0)
        | (permissions.Contains('X', StringComparison.Ordinal) ? 1u : 0);
}
