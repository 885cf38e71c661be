using System.Buffers.Binary;
using System.Text;

namespace SoftSgx.Host.Vdso;

/// <summary>What a replacement must offer again: the dynamic symbols, versions and notes of the kernel's own vDSO.</summary>
/// <remarks>
/// Read by way of the dynamic segment, as a dynamic linker does, because section headers need not be mapped. Whatever the bytes
/// say is checked against their length: a malformed image ends in <see cref="InvalidDataException"/>, never in a read outside it.
/// </remarks>
internal sealed class RealVdso
{
    /// <summary>A dynamic symbol; its value is an offset from the image's base unless the symbol is absolute.</summary>
    internal sealed record Symbol(string Name, byte Info, byte Other, ulong Value, ushort Version)
    {
        public int Type => Info & 0xf;

        public int Binding => Info >> 4;
    }

    /// <summary>A version definition: its own name first, then its parents'.</summary>
    internal sealed record VersionDefinition(ushort Index, ushort Flags, IReadOnlyList<string> Names);

    private const int MaximumSymbols = 4096;
    private const int MaximumVersions = 64;
    private const int MaximumNameLength = 256;

    /// <summary>The name that every x86-64 vDSO bears, also its base version.</summary>
    public const string SoName = "linux-vdso.so.1";

    /// <summary>The version of every function of an x86-64 vDSO.</summary>
    public const string VersionName = "LINUX_2.6";

    private static readonly VersionDefinition[] s_usualVersions =
    [
        new(1, Elf.VER_FLG_BASE, [SoName]),
        new(2, 0, [VersionName]),
    ];

    /// <summary>Stands for a kernel that maps no vDSO: nothing to forward to.</summary>
    public static RealVdso None { get; } = new([], [], s_usualVersions, []);

    private RealVdso(
        IReadOnlyList<Symbol> functions, IReadOnlyList<Symbol> versionSymbols,
        IReadOnlyList<VersionDefinition> versions, byte[] notes)
    {
        Functions = functions;
        VersionSymbols = versionSymbols;
        Versions = versions;
        Notes = notes;
    }

    /// <summary>Every defined global or weak function, aliases as often as they are named.</summary>
    public IReadOnlyList<Symbol> Functions { get; }

    /// <summary>The absolute objects that name a version (LINUX_2.6).</summary>
    public IReadOnlyList<Symbol> VersionSymbols { get; }

    public IReadOnlyList<VersionDefinition> Versions { get; }

    /// <summary>The notes owned by "Linux", byte for byte: the kernel's version code. A build-id is not ours to repeat.</summary>
    public byte[] Notes { get; }

    /// <summary>Reads the image as it lies in memory.</summary>
    /// <exception cref="InvalidDataException">The bytes are no vDSO that can be understood; the message says why.</exception>
    public static RealVdso Parse(ReadOnlySpan<byte> image)
    {
        Reader reader = new(image);
        ReadOnlySpan<byte> ehdr = reader.Slice(0, Elf.EhdrSize, "ELF header");
        Require(ehdr[..4].SequenceEqual("\u007fELF"u8), "no ELF magic");
        Require(ehdr[4] == Elf.ELFCLASS64 && ehdr[5] == Elf.ELFDATA2LSB, "not little-endian ELF64");
        Require(BinaryPrimitives.ReadUInt16LittleEndian(ehdr[16..]) == Elf.ET_DYN, "not a shared object");
        Require(BinaryPrimitives.ReadUInt16LittleEndian(ehdr[18..]) == Elf.EM_X86_64, "not for x86-64");
        Require(BinaryPrimitives.ReadUInt16LittleEndian(ehdr[54..]) == Elf.PhdrSize, "program headers of an unknown size");
        ulong phoff = BinaryPrimitives.ReadUInt64LittleEndian(ehdr[32..]);
        int phnum = BinaryPrimitives.ReadUInt16LittleEndian(ehdr[56..]);

        // Addresses inside the image count from where its first segment asked to be (0, but for kernels that prelinked it).
        bool hasLoad = false;
        ulong linkBase = 0;
        ReadOnlySpan<byte> dynamic = default;
        ReadOnlySpan<byte> notes = default;
        ReadOnlySpan<byte> phdrs = reader.Slice(phoff, (ulong)phnum * Elf.PhdrSize, "program headers");
        for (int i = 0; i < phnum; i++)
        {
            ReadOnlySpan<byte> phdr = phdrs.Slice(i * Elf.PhdrSize, Elf.PhdrSize);
            ulong offset = BinaryPrimitives.ReadUInt64LittleEndian(phdr[8..]);
            ulong address = BinaryPrimitives.ReadUInt64LittleEndian(phdr[16..]);
            ulong size = BinaryPrimitives.ReadUInt64LittleEndian(phdr[32..]);
            switch (BinaryPrimitives.ReadUInt32LittleEndian(phdr))
            {
                case Elf.PT_LOAD when !hasLoad:
                    linkBase = unchecked(address - offset);
                    hasLoad = true;
                    break;
                case Elf.PT_DYNAMIC:
                    dynamic = reader.Slice(offset, size, "dynamic segment");
                    break;
                case Elf.PT_NOTE:
                    notes = reader.Slice(offset, size, "notes");
                    break;
            }
        }
        Require(hasLoad, "no loadable segment");
        Require(!dynamic.IsEmpty, "no dynamic segment");

        DynamicTags tags = new(dynamic);
        ulong stringSize = tags.Get(Elf.DT_STRSZ) ?? throw Malformed("no DT_STRSZ");
        Strings strings = new(reader.Slice(Offset(tags, Elf.DT_STRTAB, linkBase), stringSize, "string table"));
        Require((tags.Get(Elf.DT_SYMENT) ?? Elf.SymSize) == Elf.SymSize, "symbols of an unknown size");
        int symbolCount = CountSymbols(reader, tags, linkBase);
        ReadOnlySpan<byte> symbols = reader.Slice(
            Offset(tags, Elf.DT_SYMTAB, linkBase), (ulong)symbolCount * Elf.SymSize, "symbol table");
        ReadOnlySpan<byte> versionOf = tags.Get(Elf.DT_VERSYM) is null
            ? default
            : reader.Slice(Offset(tags, Elf.DT_VERSYM, linkBase), (ulong)symbolCount * sizeof(ushort), "symbol versions");
        IReadOnlyList<VersionDefinition> versions = tags.Get(Elf.DT_VERDEF) is null || versionOf.IsEmpty
            ? s_usualVersions
            : ReadVersions(reader, strings, Offset(tags, Elf.DT_VERDEF, linkBase), tags.Get(Elf.DT_VERDEFNUM) ?? 0);
        ushort usualVersion = UsualVersion(versions);

        List<Symbol> functions = [];
        List<Symbol> versionSymbols = [];
        for (int i = 1; i < symbolCount; i++)
        {
            ReadOnlySpan<byte> entry = symbols.Slice(i * Elf.SymSize, Elf.SymSize);
            ushort section = BinaryPrimitives.ReadUInt16LittleEndian(entry[6..]);
            ushort version = versionOf.IsEmpty
                ? usualVersion
                : BinaryPrimitives.ReadUInt16LittleEndian(versionOf[(i * sizeof(ushort))..]);
            Symbol symbol = new(
                strings.At(BinaryPrimitives.ReadUInt32LittleEndian(entry)), entry[4], entry[5],
                BinaryPrimitives.ReadUInt64LittleEndian(entry[8..]), version);
            bool isGlobal = symbol.Binding is Elf.STB_GLOBAL or Elf.STB_WEAK;
            if (!isGlobal || section == Elf.SHN_UNDEF || symbol.Name.Length == 0)
            {
                continue;
            }
            ushort index = (ushort)(version & Elf.VERSYM_VERSION);
            Require(index <= Elf.VER_NDX_GLOBAL || IsDefined(versions, index), "a symbol of an undefined version");
            if (symbol.Type == Elf.STT_FUNC && section != Elf.SHN_ABS)
            {
                ulong value = unchecked(symbol.Value - linkBase);
                Require(value < (ulong)image.Length, "a function outside the image");
                functions.Add(symbol with { Value = value });
            }
            else if (symbol.Type == Elf.STT_OBJECT && section == Elf.SHN_ABS)
            {
                versionSymbols.Add(symbol);
            }
        }
        return new RealVdso(functions, versionSymbols, versions, LinuxNotes(notes));
    }

    /// <summary>The index of the version that new symbols join: the first that is not the base.</summary>
    public static ushort UsualVersion(IReadOnlyList<VersionDefinition> versions)
    {
        foreach (VersionDefinition version in versions)
        {
            if ((version.Flags & Elf.VER_FLG_BASE) == 0)
            {
                return version.Index;
            }
        }
        return Elf.VER_NDX_GLOBAL;
    }

    private static bool IsDefined(IReadOnlyList<VersionDefinition> versions, ushort index)
    {
        foreach (VersionDefinition version in versions)
        {
            if (version.Index == index)
            {
                return true;
            }
        }
        return false;
    }

    private static ulong Offset(DynamicTags tags, long tag, ulong linkBase) =>
        unchecked((tags.Get(tag) ?? throw Malformed($"no dynamic tag {tag:x}")) - linkBase);

    /// <summary>No tag holds the number of symbols: DT_HASH has a chain entry for each, DT_GNU_HASH ends with the last.</summary>
    private static int CountSymbols(Reader reader, DynamicTags tags, ulong linkBase)
    {
        ulong count;
        if (tags.Get(Elf.DT_HASH) is not null)
        {
            count = reader.UInt32(unchecked(Offset(tags, Elf.DT_HASH, linkBase) + 4), "hash table");
        }
        else
        {
            ulong table = Offset(tags, Elf.DT_GNU_HASH, linkBase);
            ReadOnlySpan<byte> header = reader.Slice(table, 16, "GNU hash table");
            ulong bucketCount = BinaryPrimitives.ReadUInt32LittleEndian(header);
            ulong firstHashed = BinaryPrimitives.ReadUInt32LittleEndian(header[4..]);
            ulong bloomWords = BinaryPrimitives.ReadUInt32LittleEndian(header[8..]);
            ulong buckets = table + 16 + (bloomWords * sizeof(ulong));
            ReadOnlySpan<byte> bucketTable = reader.Slice(buckets, bucketCount * sizeof(uint), "GNU hash buckets");
            ulong last = 0;
            for (int i = 0; i < bucketTable.Length; i += sizeof(uint))
            {
                last = Math.Max(last, BinaryPrimitives.ReadUInt32LittleEndian(bucketTable[i..]));
            }
            count = firstHashed;
            if (last != 0)
            {
                Require(last >= firstHashed, "a GNU hash bucket before the first hashed symbol");
                ulong chains = buckets + (bucketCount * sizeof(uint));
                while ((reader.UInt32(chains + ((last - firstHashed) * sizeof(uint)), "GNU hash chain") & 1) == 0)
                {
                    last++;
                }
                count = last + 1;
            }
        }
        Require(count is > 0 and <= MaximumSymbols, "an implausible number of symbols");
        return (int)count;
    }

    private static List<VersionDefinition> ReadVersions(Reader reader, Strings strings, ulong offset, ulong count)
    {
        Require(count is > 0 and <= MaximumVersions, "an implausible number of versions");
        List<VersionDefinition> versions = [];
        for (ulong i = 0; i < count; i++)
        {
            ReadOnlySpan<byte> entry = reader.Slice(offset, Elf.VerdefSize, "version definition");
            ushort format = BinaryPrimitives.ReadUInt16LittleEndian(entry);
            Require(format == Elf.VER_DEF_CURRENT, "a version definition of an unknown format");
            ushort nameCount = BinaryPrimitives.ReadUInt16LittleEndian(entry[6..]);
            Require(nameCount is > 0 and <= MaximumVersions, "a version of implausibly many names");
            List<string> names = [];
            ulong name = unchecked(offset + BinaryPrimitives.ReadUInt32LittleEndian(entry[12..]));
            for (int n = 0; n < nameCount; n++)
            {
                ReadOnlySpan<byte> auxiliary = reader.Slice(name, Elf.VerdauxSize, "version name");
                names.Add(strings.At(BinaryPrimitives.ReadUInt32LittleEndian(auxiliary)));
                name = unchecked(name + BinaryPrimitives.ReadUInt32LittleEndian(auxiliary[4..]));
            }
            versions.Add(new VersionDefinition(
                (ushort)(BinaryPrimitives.ReadUInt16LittleEndian(entry[4..]) & Elf.VERSYM_VERSION),
                BinaryPrimitives.ReadUInt16LittleEndian(entry[2..]),
                names));
            uint next = BinaryPrimitives.ReadUInt32LittleEndian(entry[16..]);
            if (next == 0)
            {
                break;
            }
            offset = unchecked(offset + next);
        }
        return versions;
    }

    private static byte[] LinuxNotes(ReadOnlySpan<byte> notes)
    {
        using MemoryStream kept = new();
        while (notes.Length >= 12)
        {
            uint nameSize = BinaryPrimitives.ReadUInt32LittleEndian(notes);
            uint contentSize = BinaryPrimitives.ReadUInt32LittleEndian(notes[4..]);
            Require(nameSize <= (uint)notes.Length && contentSize <= (uint)notes.Length, "a note outside its segment");
            uint size = 12 + ((nameSize + 3) & ~3u) + ((contentSize + 3) & ~3u);
            Require(size <= (uint)notes.Length, "a note outside its segment");
            if (notes.Slice(12, (int)nameSize).SequenceEqual("Linux\0"u8))
            {
                kept.Write(notes[..(int)size]);
            }
            notes = notes[(int)size..];
        }
        return kept.ToArray();
    }

    private static void Require(bool condition, string otherwise)
    {
        if (!condition)
        {
            throw Malformed(otherwise);
        }
    }

    private static InvalidDataException Malformed(string reason) => new($"The vDSO image cannot be used: {reason}.");

    private readonly ref struct Reader(ReadOnlySpan<byte> image)
    {
        private readonly ReadOnlySpan<byte> _image = image;

        public ReadOnlySpan<byte> Slice(ulong offset, ulong size, string what)
        {
            ulong length = (ulong)_image.Length;
            if (offset > length || size > length - offset)
            {
                throw Malformed($"the {what} is not inside it");
            }
            return _image.Slice((int)offset, (int)size);
        }

        public uint UInt32(ulong offset, string what) =>
            BinaryPrimitives.ReadUInt32LittleEndian(Slice(offset, sizeof(uint), what));
    }

    private readonly ref struct Strings(ReadOnlySpan<byte> table)
    {
        private readonly ReadOnlySpan<byte> _table = table;

        public string At(uint offset)
        {
            Require(offset < (uint)_table.Length, "a name outside the string table");
            ReadOnlySpan<byte> tail = _table[(int)offset..];
            int length = tail.IndexOf((byte)0);
            Require(length >= 0, "a name that does not end");
            Require(length <= MaximumNameLength, "an implausibly long name");
            Require(Ascii.IsValid(tail[..length]), "a name that is not ASCII");
            return Encoding.ASCII.GetString(tail[..length]);
        }
    }

    private readonly ref struct DynamicTags(ReadOnlySpan<byte> dynamic)
    {
        private readonly ReadOnlySpan<byte> _dynamic = dynamic;

        public ulong? Get(long tag)
        {
            for (ReadOnlySpan<byte> rest = _dynamic; rest.Length >= Elf.DynSize; rest = rest[Elf.DynSize..])
            {
                long at = BinaryPrimitives.ReadInt64LittleEndian(rest);
                if (at == tag)
                {
                    return BinaryPrimitives.ReadUInt64LittleEndian(rest[8..]);
                }
                if (at == Elf.DT_NULL)
                {
                    break;
                }
            }
            return null;
        }
    }
}
