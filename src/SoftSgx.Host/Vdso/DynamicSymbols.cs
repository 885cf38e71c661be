using System.Buffers.Binary;
using System.Text;

namespace SoftSgx.Host.Vdso;

/// <summary>The dynamic symbols of an image: .dynsym, .dynstr, both hash tables, and the symbols' versions.</summary>
/// <remarks>A vDSO has a dozen symbols: both hash tables have one bucket, so any order of symbols suits DT_GNU_HASH.</remarks>
internal sealed class DynamicSymbols
{
    private sealed record Entry(
        string Name, byte Info, byte Other, ushort Version,
        ElfImage.Section? Section, int OffsetInSection, ulong AbsoluteValue, int Size);

    private const int GnuBloomShift = 6;

    private readonly IReadOnlyList<RealVdso.VersionDefinition> _versions;
    private readonly List<Entry> _entries = [];
    private readonly Dictionary<string, int> _stringOffsets = [];
    private readonly List<byte> _strings = [0];

    public DynamicSymbols(IReadOnlyList<RealVdso.VersionDefinition> versions)
    {
        _versions = versions;
        SoNameOffset = Intern(RealVdso.SoName);
        foreach (string name in versions.SelectMany(v => v.Names))
        {
            Intern(name);
        }
    }

    /// <summary>Offset of the image's name in .dynstr.</summary>
    public int SoNameOffset { get; }

    public void AddFunction(
        string name, byte info, byte other, ushort version, ElfImage.Section section, int offsetInSection, int size)
    {
        Intern(name);
        _entries.Add(new Entry(name, info, other, version, section, offsetInSection, 0, size));
    }

    public void AddAbsolute(RealVdso.Symbol symbol)
    {
        Intern(symbol.Name);
        _entries.Add(new Entry(symbol.Name, symbol.Info, symbol.Other, symbol.Version, null, 0, symbol.Value, 0));
    }

    public byte[] Table()
    {
        byte[] table = new byte[(1 + _entries.Count) * Elf.SymSize];
        for (int i = 0; i < _entries.Count; i++)
        {
            Entry entry = _entries[i];
            Span<byte> symbol = table.AsSpan((1 + i) * Elf.SymSize);
            BinaryPrimitives.WriteInt32LittleEndian(symbol, _stringOffsets[entry.Name]);
            symbol[4] = entry.Info;
            symbol[5] = entry.Other;
            BinaryPrimitives.WriteUInt16LittleEndian(symbol[6..], entry.Section?.Index ?? Elf.SHN_ABS);
            ulong value = entry.Section is null ? entry.AbsoluteValue : (ulong)(entry.Section.Offset + entry.OffsetInSection);
            BinaryPrimitives.WriteUInt64LittleEndian(symbol[8..], value);
            BinaryPrimitives.WriteUInt64LittleEndian(symbol[16..], (ulong)entry.Size);
        }
        return table;
    }

    public byte[] Strings() => [.. _strings];

    /// <summary>nbucket, nchain, the bucket's first symbol, and for each symbol the next one.</summary>
    public byte[] Hash()
    {
        int symbolCount = 1 + _entries.Count;
        byte[] table = new byte[(3 + symbolCount) * sizeof(uint)];
        WriteUInt32(table, 0, 1);
        WriteUInt32(table, 1, (uint)symbolCount);
        WriteUInt32(table, 2, symbolCount > 1 ? 1u : 0);
        for (int i = 1; i < symbolCount - 1; i++)
        {
            WriteUInt32(table, 3 + i, (uint)(i + 1));
        }
        return table;
    }

    /// <summary>nbuckets, first hashed symbol, Bloom filter words and shift; the filter; the bucket; a hash a symbol.</summary>
    public byte[] GnuHash()
    {
        byte[] table = new byte[28 + (_entries.Count * sizeof(uint))];
        WriteUInt32(table, 0, 1);
        WriteUInt32(table, 1, 1);
        WriteUInt32(table, 2, 1);
        WriteUInt32(table, 3, GnuBloomShift);
        WriteUInt32(table, 6, _entries.Count > 0 ? 1u : 0);
        ulong bloom = 0;
        for (int i = 0; i < _entries.Count; i++)
        {
            uint hash = Elf.GnuHash(Encoding.ASCII.GetBytes(_entries[i].Name));
            bloom |= (1ul << (int)(hash % 64)) | (1ul << (int)((hash >> GnuBloomShift) % 64));
            uint isLast = i == _entries.Count - 1 ? 1u : 0;
            WriteUInt32(table, 7 + i, (hash & ~1u) | isLast);
        }
        BinaryPrimitives.WriteUInt64LittleEndian(table.AsSpan(16), bloom);
        return table;
    }

    public byte[] Versions()
    {
        byte[] table = new byte[(1 + _entries.Count) * sizeof(ushort)];
        for (int i = 0; i < _entries.Count; i++)
        {
            BinaryPrimitives.WriteUInt16LittleEndian(table.AsSpan((1 + i) * sizeof(ushort)), _entries[i].Version);
        }
        return table;
    }

    public byte[] VersionDefinitions()
    {
        byte[] table = new byte[_versions.Sum(DefinitionSize)];
        Span<byte> rest = table;
        for (int i = 0; i < _versions.Count; i++)
        {
            RealVdso.VersionDefinition version = _versions[i];
            int size = DefinitionSize(version);
            BinaryPrimitives.WriteUInt16LittleEndian(rest, Elf.VER_DEF_CURRENT);
            BinaryPrimitives.WriteUInt16LittleEndian(rest[2..], version.Flags);
            BinaryPrimitives.WriteUInt16LittleEndian(rest[4..], version.Index);
            BinaryPrimitives.WriteUInt16LittleEndian(rest[6..], (ushort)version.Names.Count);
            BinaryPrimitives.WriteUInt32LittleEndian(rest[8..], Elf.Hash(Encoding.ASCII.GetBytes(version.Names[0])));
            BinaryPrimitives.WriteUInt32LittleEndian(rest[12..], Elf.VerdefSize);
            BinaryPrimitives.WriteUInt32LittleEndian(rest[16..], i == _versions.Count - 1 ? 0 : (uint)size);
            for (int n = 0; n < version.Names.Count; n++)
            {
                Span<byte> auxiliary = rest[(Elf.VerdefSize + (n * Elf.VerdauxSize))..];
                BinaryPrimitives.WriteInt32LittleEndian(auxiliary, _stringOffsets[version.Names[n]]);
                BinaryPrimitives.WriteUInt32LittleEndian(auxiliary[4..], n == version.Names.Count - 1 ? 0u : Elf.VerdauxSize);
            }
            rest = rest[size..];
        }
        return table;
    }

    private static int DefinitionSize(RealVdso.VersionDefinition version) =>
        Elf.VerdefSize + (version.Names.Count * Elf.VerdauxSize);

    private static void WriteUInt32(byte[] table, int index, uint value) =>
        BinaryPrimitives.WriteUInt32LittleEndian(table.AsSpan(index * sizeof(uint)), value);

    private int Intern(string value)
    {
        if (!_stringOffsets.TryGetValue(value, out int offset))
        {
            offset = _strings.Count;
            _stringOffsets.Add(value, offset);
            _strings.AddRange(Encoding.ASCII.GetBytes(value));
            _strings.Add(0);
        }
        return offset;
    }
}
