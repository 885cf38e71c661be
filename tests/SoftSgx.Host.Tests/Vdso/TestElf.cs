using System.Text;

namespace SoftSgx.Host.Tests.Vdso;

/// <summary>A reader of shared objects as they lie in memory, written apart from the code under test.</summary>
/// <remarks>It offers the three ways in which programs look for symbols: DT_HASH, DT_GNU_HASH, and the section headers.</remarks>
internal sealed class TestElf(byte[] image)
{
    public sealed record Symbol(string Name, int Type, int Binding, int SectionIndex, ulong Value, ulong Size, string? Version);

    public sealed record Section(string Name, uint Type, ulong Address, ulong Offset, ulong Size, ulong EntrySize);

    public sealed record Segment(uint Type, uint Flags, ulong Offset, ulong Address, ulong FileSize, ulong MemorySize);

    public ushort U16(ulong at) => BitConverter.ToUInt16(image, (int)at);

    public uint U32(ulong at) => BitConverter.ToUInt32(image, (int)at);

    public ulong U64(ulong at) => BitConverter.ToUInt64(image, (int)at);

    public string Text(ulong at)
    {
        int end = Array.IndexOf(image, (byte)0, (int)at);
        return Encoding.ASCII.GetString(image, (int)at, end - (int)at);
    }

    public List<Segment> Segments()
    {
        List<Segment> segments = [];
        for (int i = 0; i < U16(56); i++)
        {
            ulong at = U64(32) + (ulong)(i * 56);
            segments.Add(new Segment(U32(at), U32(at + 4), U64(at + 8), U64(at + 16), U64(at + 32), U64(at + 40)));
        }
        return segments;
    }

    public List<Section> Sections()
    {
        ulong table = U64(40);
        ulong names = U64(table + ((ulong)U16(62) * 64) + 24);
        List<Section> sections = [];
        for (int i = 0; i < U16(60); i++)
        {
            ulong at = table + (ulong)(i * 64);
            sections.Add(new Section(
                Text(names + U32(at)), U32(at + 4), U64(at + 16), U64(at + 24), U64(at + 32), U64(at + 56)));
        }
        return sections;
    }

    public ulong Dynamic(ulong tag)
    {
        Segment dynamic = Segments().Single(s => s.Type == 2);
        for (ulong at = dynamic.Offset; at < dynamic.Offset + dynamic.FileSize && U64(at) != 0; at += 16)
        {
            if (U64(at) == tag)
            {
                return U64(at + 8);
            }
        }
        return 0;
    }

    /// <summary>All symbols but the null one, numbered by DT_HASH's chain count.</summary>
    public List<Symbol> DynamicSymbols()
    {
        List<Symbol> symbols = [];
        for (uint i = 1; i < U32(Dynamic(4) + 4); i++)
        {
            symbols.Add(SymbolAt(i));
        }
        return symbols;
    }

    public List<Symbol> SectionSymbols()
    {
        List<Section> sections = Sections();
        Section table = sections.Single(s => s.Name == ".dynsym");
        Section names = sections.Single(s => s.Name == ".dynstr");
        List<Symbol> symbols = [];
        for (ulong at = table.Offset + 24; at < table.Offset + table.Size; at += table.EntrySize)
        {
            symbols.Add(SymbolAt(at, names.Offset, null));
        }
        return symbols;
    }

    public Symbol? FindByHash(string name)
    {
        uint hash = 0;
        foreach (char c in name)
        {
            hash = (hash << 4) + c;
            uint top = hash & 0xf0000000;
            if (top != 0)
            {
                hash ^= top >> 24;
            }
            hash &= ~top;
        }
        ulong table = Dynamic(4);
        uint buckets = U32(table);
        for (uint i = U32(table + 8 + (4 * (hash % buckets))); i != 0; i = U32(table + 8 + (4 * buckets) + (4 * i)))
        {
            if (SymbolAt(i).Name == name)
            {
                return SymbolAt(i);
            }
        }
        return null;
    }

    public Symbol? FindByGnuHash(string name)
    {
        uint hash = 5381;
        foreach (char c in name)
        {
            hash = (hash << 5) + hash + c;
        }
        ulong table = Dynamic(0x6ffffef5);
        uint bucketCount = U32(table), first = U32(table + 4), words = U32(table + 8);
        int shift = (int)U32(table + 12);
        ulong word = U64(table + 16 + (8 * (hash / 64 % words)));
        if (((word >> (int)(hash % 64)) & (word >> (int)((hash >> shift) % 64)) & 1) == 0)
        {
            return null;
        }
        ulong buckets = table + 16 + (8 * words);
        ulong chains = buckets + (4 * bucketCount);
        uint i = U32(buckets + (4 * (hash % bucketCount)));
        if (i == 0)
        {
            return null;
        }
        while (true)
        {
            uint entry = U32(chains + (4 * (i - first)));
            if ((entry | 1) == (hash | 1) && SymbolAt(i).Name == name)
            {
                return SymbolAt(i);
            }
            if ((entry & 1) != 0)
            {
                return null;
            }
            i++;
        }
    }

    /// <summary>Names of the version definitions by index, with the hash each bears.</summary>
    public Dictionary<int, (string Name, uint Hash, int Flags)> Versions()
    {
        Dictionary<int, (string, uint, int)> versions = [];
        ulong at = Dynamic(0x6ffffffc);
        for (ulong i = 0; i < Dynamic(0x6ffffffd); i++)
        {
            versions[U16(at + 4)] = (Text(Dynamic(5) + U32(at + U32(at + 12))), U32(at + 8), U16(at + 2));
            at += U32(at + 16);
        }
        return versions;
    }

    private Symbol SymbolAt(uint index)
    {
        ulong at = Dynamic(6) + (index * 24);
        int version = U16(Dynamic(0x6ffffff0) + (index * 2)) & 0x7fff;
        return SymbolAt(at, Dynamic(5), Versions().GetValueOrDefault(version).Name);
    }

    private Symbol SymbolAt(ulong at, ulong names, string? version) =>
        new(Text(names + U32(at)), image[at + 4] & 15, image[at + 4] >> 4, U16(at + 6), U64(at + 8), U64(at + 16), version);
}
