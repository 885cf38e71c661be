namespace SoftSgx.Images;

/// <summary>A section header. System V ABI, "Sections".</summary>
/// <param name="HeaderOffset">Offset of the header into the file.</param>
/// <param name="Name">Its name.</param>
/// <param name="Type">sh_type.</param>
/// <param name="Flags">sh_flags.</param>
/// <param name="Address">sh_addr.</param>
/// <param name="FileOffset">sh_offset.</param>
/// <param name="Size">sh_size.</param>
/// <param name="Link">sh_link: for a table of symbols, the number of the section of their names.</param>
/// <param name="Alignment">sh_addralign.</param>
/// <param name="EntrySize">sh_entsize.</param>
internal sealed record ElfSection(
    ulong HeaderOffset, string Name, uint Type, ulong Flags, ulong Address, ulong FileOffset, ulong Size, uint Link, ulong Alignment,
    ulong EntrySize)
{
    internal const uint TypeNull = 0;
    internal const uint TypeSymbols = 2;
    internal const uint TypeStrings = 3;
    internal const uint TypeDynamicSymbols = 11;
}

/// <summary>A symbol. System V ABI, "Symbol table".</summary>
internal readonly record struct ElfSymbol(ElfFile File, ElfSection Names, uint NameOffset, ulong Value, ushort SectionIndex)
{
    /// <summary>The section index of a symbol that another file must define.</summary>
    internal const ushort Undefined = 0;

    internal bool Is(ReadOnlySpan<byte> name) =>
        NameOffset != 0 && NameOffset < Names.Size && File.Bytes.IsName(Names.FileOffset + NameOffset, name);
}

/// <summary>Tags of the dynamic segment. System V ABI, "Dynamic section".</summary>
internal static class ElfDynamic
{
    internal const ulong Null = 0;
    internal const ulong Needed = 1;
    internal const ulong PltRelocationsSize = 2;
    internal const ulong StringTable = 5;
    internal const ulong Rela = 7;
    internal const ulong RelaSize = 8;
    internal const ulong Rel = 17;
    internal const ulong RelSize = 18;
    internal const ulong TextRelocations = 22;
    internal const ulong PltRelocations = 23;
}
