using System.Globalization;

namespace SoftSgx.Images;

/// <summary>
/// An ELF file, little-endian, of either class: its header, its program headers and its sections. Tables are read when they are asked
/// for, and checked against the file's length first.
/// System V ABI, "Object files" and "Program loading and dynamic linking".
/// </summary>
internal sealed class ElfFile
{
    private const int IdentificationLength = 16;
    private const byte DataLittleEndian = 1;

    // The numbers that say "the real one stands in section header 0" (gABI, "Section header": extended numbering).
    private const ushort ExtendedSegmentCount = 0xffff;
    private const ushort ExtendedNamesIndex = 0xffff;

    private ElfFile(ImageBytes bytes)
    {
        Bytes = bytes;
        ReadOnlySpan<byte> identification = bytes.Span(0, IdentificationLength, "the ELF identification");
        Is64 = identification[4] switch
        {
            1 => false,
            2 => true,
            byte other => throw new ImageException(4, $"the ELF class {other} is neither 32-bit (1) nor 64-bit (2)"),
        };
        if (identification[5] != DataLittleEndian)
        {
            throw new ImageException(5, "the ELF file is not little-endian");
        }

        Type = bytes.U16(16, "e_type");
        Machine = bytes.U16(18, "e_machine");
        Entry = Word(24, "e_entry");
        ulong programHeaders = Word(Is64 ? 32u : 28u, "e_phoff");
        ulong sectionHeaders = Word(Is64 ? 40u : 32u, "e_shoff");
        ulong rest = Is64 ? 54u : 42u;
        Segments = ReadSegments(programHeaders, bytes.U16(rest, "e_phentsize"), bytes.U16(rest + 2, "e_phnum"));
        Sections = ReadSections(
            sectionHeaders, bytes.U16(rest + 4, "e_shentsize"), bytes.U16(rest + 6, "e_shnum"), bytes.U16(rest + 8, "e_shstrndx"));
    }

    internal static ReadOnlySpan<byte> Magic => [0x7f, (byte)'E', (byte)'L', (byte)'F'];

    internal const ushort TypeShared = 3;
    internal const ushort Machine386 = 3;
    internal const ushort MachineX64 = 62;

    internal ImageBytes Bytes { get; }

    internal bool Is64 { get; }

    internal ushort Type { get; }

    internal ushort Machine { get; }

    internal ulong Entry { get; }

    internal IReadOnlyList<ElfSegment> Segments { get; }

    internal IReadOnlyList<ElfSection> Sections { get; }

    internal static ElfFile Read(ImageBytes bytes) => new(bytes);

    /// <summary>The first section of that name; null if there is none.</summary>
    internal ElfSection? Section(string name)
    {
        foreach (ElfSection section in Sections)
        {
            if (section.Name == name)
            {
                return section;
            }
        }

        return null;
    }

    /// <summary>The contents of a section.</summary>
    internal ReadOnlyMemory<byte> Contents(ElfSection section) => Bytes.Memory(section.FileOffset, section.Size, $"section {section.Name}");

    /// <summary>The symbols of a table, in its order; the empty one that each table begins with left out.</summary>
    internal IEnumerable<ElfSymbol> Symbols(ElfSection table)
    {
        ElfSection names = NamesOf(table);
        for (ulong index = 1; index < table.Size / SymbolSize; index++)
        {
            yield return Symbol(table, names, index);
        }
    }

    /// <summary>One symbol of a table; null if it has none of that number.</summary>
    internal ElfSymbol? SymbolAt(ElfSection table, ulong index) =>
        NamesOf(table) is { } names && index < table.Size / SymbolSize ? Symbol(table, names, index) : null;

    private ulong SymbolSize => Is64 ? 24u : 16u;

    private ElfSymbol Symbol(ElfSection table, ElfSection names, ulong index)
    {
        ulong at = table.FileOffset + (index * SymbolSize);
        uint name = Bytes.U32(at, "a symbol");
        return Is64
            ? new ElfSymbol(this, names, name, Bytes.U64(at + 8, "a symbol"), Bytes.U16(at + 6, "a symbol"))
            : new ElfSymbol(this, names, name, Bytes.U32(at + 4, "a symbol"), Bytes.U16(at + 14, "a symbol"));
    }

    private ElfSection NamesOf(ElfSection table)
    {
        if (table.EntrySize != SymbolSize)
        {
            throw new ImageException(
                (long)table.HeaderOffset, $"the entries of {table.Name} have {table.EntrySize} bytes, not {SymbolSize}");
        }

        Bytes.Memory(table.FileOffset, table.Size, $"section {table.Name}");
        ElfSection? names = table.Link < Sections.Count ? Sections[(int)table.Link] : null;
        return names is { Type: ElfSection.TypeStrings }
            ? names
            : throw new ImageException((long)table.HeaderOffset, $"{table.Name} has no table of names");
    }

    /// <summary>The first symbol of that name in the file's first table of that type; null if there is none.</summary>
    internal ElfSymbol? Symbol(ReadOnlySpan<byte> name, uint tableType)
    {
        foreach (ElfSection table in Sections)
        {
            if (table.Type == tableType)
            {
                foreach (ElfSymbol symbol in Symbols(table))
                {
                    if (symbol.Is(name))
                    {
                        return symbol;
                    }
                }

                return null;
            }
        }

        return null;
    }

    /// <summary>The entries of the dynamic segment, up to DT_NULL.</summary>
    internal IReadOnlyDictionary<ulong, ulong> Dynamic()
    {
        Dictionary<ulong, ulong> entries = [];
        ulong size = Is64 ? 16u : 8u;
        ElfSegment? dynamic = Segments.FirstOrDefault(static segment => segment.Type == ElfSegment.TypeDynamic);
        for (ulong at = 0; dynamic is not null && at + size <= dynamic.FileSize; at += size)
        {
            ulong tag = Word(dynamic.FileOffset + at, "an entry of the dynamic segment");
            if (tag == ElfDynamic.Null)
            {
                break;
            }

            entries[tag] = Word(dynamic.FileOffset + at + (size / 2), "an entry of the dynamic segment");
        }

        return entries;
    }

    /// <summary>What the header and the tables say.</summary>
    internal FactGroup Facts()
    {
        const int Shown = 64;
        FactList facts = new FactList("ELF header", 0)
            .Text("class", Is64 ? "ELF64" : "ELF32")
            .Text("e_type", Type switch { 2 => "ET_EXEC", TypeShared => "ET_DYN", _ => FactList.Hex(Type) })
            .Text("e_machine", Machine switch { Machine386 => "EM_386", MachineX64 => "EM_X86_64", _ => FactList.Hex(Machine) })
            .Hex("e_entry", Entry)
            .Count("sections", (ulong)Sections.Count)
            .Count("segments", (ulong)Segments.Count);
        int number = 0;
        foreach (ElfSegment segment in Segments.Take(Shown))
        {
            facts.Text(
                string.Create(CultureInfo.InvariantCulture, $"segment {number++}"),
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{segment.TypeName} {segment.PermissionText} address 0x{segment.Address:x}, 0x{segment.MemorySize:x} bytes, "
                        + $"0x{segment.FileSize:x} of them in the file at 0x{segment.FileOffset:x}"));
        }

        return facts.Build();
    }

    private ulong Word(ulong offset, string what) => Is64 ? Bytes.U64(offset, what) : Bytes.U32(offset, what);

    private List<ElfSegment> ReadSegments(ulong table, ushort entrySize, ushort count)
    {
        List<ElfSegment> segments = [];
        if (count == 0)
        {
            return segments;
        }

        ushort expected = Is64 ? (ushort)56 : (ushort)32;
        if (entrySize != expected || count == ExtendedSegmentCount)
        {
            throw new ImageException(
                Is64 ? 54 : 42, $"the program headers ({count} of {entrySize} bytes) are not of {expected} bytes, at most 65,534 of them");
        }

        Bytes.Memory(table, (ulong)count * entrySize, "the table of program headers");
        for (uint i = 0; i < count; i++)
        {
            ulong at = table + (i * (ulong)entrySize);
            uint type = Bytes.U32(at, "a program header");
            ElfSegment segment = Is64
                ? new ElfSegment(
                    at, type, Bytes.U32(at + 4, "p_flags"), Bytes.U64(at + 8, "p_offset"), Bytes.U64(at + 16, "p_vaddr"),
                    Bytes.U64(at + 32, "p_filesz"), Bytes.U64(at + 40, "p_memsz"), Bytes.U64(at + 48, "p_align"))
                : new ElfSegment(
                    at, type, Bytes.U32(at + 24, "p_flags"), Bytes.U32(at + 4, "p_offset"), Bytes.U32(at + 8, "p_vaddr"),
                    Bytes.U32(at + 16, "p_filesz"), Bytes.U32(at + 20, "p_memsz"), Bytes.U32(at + 28, "p_align"));
            if (!Bytes.Has(segment.FileOffset, segment.FileSize))
            {
                throw new ImageException(
                    (long)at,
                    string.Create(CultureInfo.InvariantCulture, $"segment {i} reaches beyond the end of the file at 0x{Bytes.Length:x}"));
            }

            segments.Add(segment);
        }

        return segments;
    }

    private List<ElfSection> ReadSections(ulong table, ushort entrySize, ushort count, ushort namesIndex)
    {
        List<ElfSection> sections = [];
        if (table == 0 || count == 0)
        {
            return sections;
        }

        ushort expected = Is64 ? (ushort)64 : (ushort)40;
        if (entrySize != expected || namesIndex == ExtendedNamesIndex)
        {
            throw new ImageException(Is64 ? 58 : 46, $"the section headers have {entrySize} bytes, not {expected}, or no table of names");
        }

        Bytes.Memory(table, (ulong)count * entrySize, "the table of section headers");
        if (namesIndex >= count)
        {
            throw new ImageException(Is64 ? 62 : 50, $"the names of the sections are in section {namesIndex} of {count}");
        }

        (ulong Offset, ulong Size) names = Place(table + (namesIndex * (ulong)entrySize));
        Bytes.Memory(names.Offset, names.Size, "the names of the sections");
        for (uint i = 0; i < count; i++)
        {
            ulong at = table + (i * (ulong)entrySize);
            (ulong offset, ulong size) = Place(at);
            uint type = Bytes.U32(at + 4, "sh_type");
            uint name = Bytes.U32(at, "sh_name");
            sections.Add(new ElfSection(
                at,
                type == ElfSection.TypeNull
                    ? ""
                    : FactList.Printable(Bytes.Name(names.Offset + name, names.Offset + names.Size, "the name of a section")),
                type,
                Word(at + 8, "sh_flags"),
                Is64 ? Bytes.U64(at + 16, "sh_addr") : Bytes.U32(at + 12, "sh_addr"),
                offset,
                size,
                Bytes.U32(Is64 ? at + 40 : at + 24, "sh_link"),
                Is64 ? Bytes.U64(at + 48, "sh_addralign") : Bytes.U32(at + 32, "sh_addralign"),
                Is64 ? Bytes.U64(at + 56, "sh_entsize") : Bytes.U32(at + 36, "sh_entsize")));
        }

        return sections;
    }

    private (ulong Offset, ulong Size) Place(ulong header) => Is64
        ? (Bytes.U64(header + 24, "sh_offset"), Bytes.U64(header + 32, "sh_size"))
        : (Bytes.U32(header + 16, "sh_offset"), Bytes.U32(header + 20, "sh_size"));
}
