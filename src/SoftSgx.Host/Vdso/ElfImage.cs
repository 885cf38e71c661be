using System.Buffers.Binary;
using System.Text;

namespace SoftSgx.Host.Vdso;

/// <summary>Lays sections out into a shared object whose file image is its memory image, section headers included.</summary>
/// <remarks>
/// Sections point at one another, so a section's contents are made twice: once to learn its size, which must not depend on
/// addresses, and once when every section has its address.
/// </remarks>
internal sealed class ElfImage
{
    /// <summary>A section: always part of the loaded image.</summary>
    internal sealed class Section(string name, uint type, int alignment)
    {
        public string Name { get; } = name;

        public uint Type { get; } = type;

        public int Alignment { get; } = alignment;

        /// <summary>Makes the section's bytes; may read offsets and sizes of all sections.</summary>
        public Func<byte[]> Contents { get; set; } = () => [];

        public bool IsExecutable { get; init; }

        public int EntrySize { get; init; }

        public Section? Link { get; set; }

        public int Info { get; init; }

        /// <summary>The program header of its own that a section has, or 0.</summary>
        public uint SegmentType { get; init; }

        /// <summary>The section's place in the section header table.</summary>
        public ushort Index { get; set; }

        /// <summary>Bytes from the start of the image: the section's address and its file offset.</summary>
        public int Offset { get; set; }

        public int Size { get; set; }
    }

    private const int PageSize = 4096;

    private readonly List<Section> _sections = [];

    public Section Add(Section section)
    {
        _sections.Add(section);
        section.Index = (ushort)_sections.Count; // the null section is 0
        return section;
    }

    /// <summary>Places all sections, fills them and puts the headers around them; the result is whole pages.</summary>
    public byte[] Build()
    {
        Section names = Add(new Section(".shstrtab", Elf.SHT_STRTAB, 1) { Contents = SectionNames });
        Section[] segments = [.. _sections.Where(s => s.SegmentType != 0)];
        int end = Elf.EhdrSize + ((1 + segments.Length) * Elf.PhdrSize);
        foreach (Section section in _sections)
        {
            section.Offset = Align(end, section.Alignment);
            section.Size = section.Contents().Length;
            end = section.Offset + section.Size;
        }
        int sectionHeaders = Align(end, 8);
        byte[] image = new byte[Align(sectionHeaders + ((1 + _sections.Count) * Elf.ShdrSize), PageSize)];

        Span<byte> ehdr = image.AsSpan(0, Elf.EhdrSize);
        "\u007fELF"u8.CopyTo(ehdr);
        ehdr[4] = Elf.ELFCLASS64;
        ehdr[5] = Elf.ELFDATA2LSB;
        ehdr[6] = Elf.EV_CURRENT;
        BinaryPrimitives.WriteUInt16LittleEndian(ehdr[16..], Elf.ET_DYN);
        BinaryPrimitives.WriteUInt16LittleEndian(ehdr[18..], Elf.EM_X86_64);
        BinaryPrimitives.WriteUInt32LittleEndian(ehdr[20..], Elf.EV_CURRENT);
        BinaryPrimitives.WriteUInt64LittleEndian(ehdr[32..], Elf.EhdrSize);
        BinaryPrimitives.WriteUInt64LittleEndian(ehdr[40..], (ulong)sectionHeaders);
        BinaryPrimitives.WriteUInt16LittleEndian(ehdr[52..], Elf.EhdrSize);
        BinaryPrimitives.WriteUInt16LittleEndian(ehdr[54..], Elf.PhdrSize);
        BinaryPrimitives.WriteUInt16LittleEndian(ehdr[56..], (ushort)(1 + segments.Length));
        BinaryPrimitives.WriteUInt16LittleEndian(ehdr[58..], Elf.ShdrSize);
        BinaryPrimitives.WriteUInt16LittleEndian(ehdr[60..], (ushort)(1 + _sections.Count));
        BinaryPrimitives.WriteUInt16LittleEndian(ehdr[62..], names.Index);

        Span<byte> phdrs = image.AsSpan(Elf.EhdrSize);
        WriteProgramHeader(phdrs, Elf.PT_LOAD, Elf.PF_R | Elf.PF_X, 0, image.Length, PageSize);
        for (int i = 0; i < segments.Length; i++)
        {
            Section section = segments[i];
            Span<byte> phdr = phdrs[((1 + i) * Elf.PhdrSize)..];
            WriteProgramHeader(phdr, section.SegmentType, Elf.PF_R, section.Offset, section.Size, section.Alignment);
        }

        int name = 1;
        foreach (Section section in _sections)
        {
            byte[] contents = section.Contents();
            if (contents.Length != section.Size)
            {
                throw new InvalidOperationException($"The size of {section.Name} depends on addresses.");
            }
            contents.CopyTo(image.AsSpan(section.Offset));
            WriteSectionHeader(image.AsSpan(sectionHeaders + (section.Index * Elf.ShdrSize)), section, name);
            name += section.Name.Length + 1;
        }
        return image;
    }

    private byte[] SectionNames() => Encoding.ASCII.GetBytes("\0" + string.Concat(_sections.Select(s => s.Name + "\0")));

    private static void WriteProgramHeader(Span<byte> phdr, uint type, uint flags, int offset, int size, int alignment)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(phdr, type);
        BinaryPrimitives.WriteUInt32LittleEndian(phdr[4..], flags);
        BinaryPrimitives.WriteUInt64LittleEndian(phdr[8..], (ulong)offset);
        BinaryPrimitives.WriteUInt64LittleEndian(phdr[16..], (ulong)offset);
        BinaryPrimitives.WriteUInt64LittleEndian(phdr[24..], (ulong)offset);
        BinaryPrimitives.WriteUInt64LittleEndian(phdr[32..], (ulong)size);
        BinaryPrimitives.WriteUInt64LittleEndian(phdr[40..], (ulong)size);
        BinaryPrimitives.WriteUInt64LittleEndian(phdr[48..], (ulong)alignment);
    }

    private static void WriteSectionHeader(Span<byte> shdr, Section section, int name)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(shdr, (uint)name);
        BinaryPrimitives.WriteUInt32LittleEndian(shdr[4..], section.Type);
        BinaryPrimitives.WriteUInt64LittleEndian(shdr[8..], Elf.SHF_ALLOC | (section.IsExecutable ? Elf.SHF_EXECINSTR : 0));
        BinaryPrimitives.WriteUInt64LittleEndian(shdr[16..], (ulong)section.Offset);
        BinaryPrimitives.WriteUInt64LittleEndian(shdr[24..], (ulong)section.Offset);
        BinaryPrimitives.WriteUInt64LittleEndian(shdr[32..], (ulong)section.Size);
        BinaryPrimitives.WriteUInt32LittleEndian(shdr[40..], section.Link?.Index ?? 0u);
        BinaryPrimitives.WriteUInt32LittleEndian(shdr[44..], (uint)section.Info);
        BinaryPrimitives.WriteUInt64LittleEndian(shdr[48..], (ulong)section.Alignment);
        BinaryPrimitives.WriteUInt64LittleEndian(shdr[56..], (ulong)section.EntrySize);
    }

    private static int Align(int value, int alignment) => (value + alignment - 1) & -alignment;
}
