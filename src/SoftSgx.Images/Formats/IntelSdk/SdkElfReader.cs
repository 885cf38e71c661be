using System.Globalization;
using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>
/// Reads enclaves of the Intel SDK for Linux: shared objects with a section .note.sgxmeta.
/// Intel SGX SDK, psw/urts/parser/elfparser.cpp.
/// </summary>
internal static class SdkElfReader
{
    internal const string SectionName = ".note.sgxmeta";

    private const ulong NoteHeaderSize = 12;

    internal static EnclaveImage Read(ElfFile elf, ElfSection note)
    {
        string format = elf.Is64 ? "Intel SDK enclave (ELF)" : "Intel SDK enclave (ELF, 32 bits)";
        (ulong start, ulong end) = Room(elf, note);
        List<SdkMetadata> blocks = SdkMetadata.ReadAll(elf.Bytes, start, end);
        List<string> notes = Notes(elf);
        List<ReviewWarning> warnings = [];
        IReadOnlyDictionary<ulong, ulong> dynamic = elf.Dynamic();
        ulong[] relocated = [];
        if (dynamic.ContainsKey(ElfDynamic.TextRelocations))
        {
            relocated = RelocatedPages(elf, dynamic);
            warnings.Add(
                new ReviewWarning(
                    ReviewWarning.TextRelocations,
                    $"the enclave has text relocations: {relocated.Length} of its pages are added writable so that code in them can "
                        + "be changed"));
        }

        if (blocks.Count == 0)
        {
            notes.Insert(
                0,
                "It is linked for the SDK but not signed: its metadata section is empty, and its layout is made when it is signed "
                    + "(sgx_sign).");
            return new EnclaveImage
            {
                Format = $"{format}, not signed",
                Kind = ImageKind.IntelSdkElf,
                Facts = [elf.Facts()],
                Notes = notes,
                FormatWarnings = warnings,
            };
        }

        return SdkImage.Of(
            ImageKind.IntelSdkElf, format, blocks, block => (Segments(elf, block), relocated), [elf.Facts()], notes, warnings);
    }

    private static (ulong Start, ulong End) Room(ElfFile elf, ElfSection note)
    {
        ReadOnlySpan<byte> header = elf.Bytes.Span(note.FileOffset, NoteHeaderSize, "the note of the metadata");
        uint nameSize = elf.Bytes.U32(note.FileOffset, "the note of the metadata");
        uint descriptionSize = elf.Bytes.U32(note.FileOffset + 4, "the note of the metadata");
        if (nameSize != (uint)SdkMetadata.NoteName.Length
            || !elf.Bytes.Span(note.FileOffset + (ulong)header.Length, nameSize, "the note's name").SequenceEqual(SdkMetadata.NoteName))
        {
            throw new ImageException((long)note.FileOffset, $"the note in {SectionName} is not named sgx_metadata");
        }

        ulong start = note.FileOffset + NoteHeaderSize + nameSize;
        elf.Bytes.Memory(start, descriptionSize, "the note of the metadata");
        return (start, start + descriptionSize);
    }

    private static List<SdkSegment> Segments(ElfFile elf, SdkMetadata block)
    {
        List<SdkSegment> segments = SegmentsOf(elf, "segment", 0, 0);
        if (block.SharedObject() is { } module)
        {
            ElfFile other = ElfFile.Read(new ImageBytes(elf.Bytes.Memory(module.FileOffset, module.Size, "the module in the enclave")));
            segments.AddRange(SegmentsOf(other, "module's segment", module.FileOffset, module.Rva));
        }

        return segments;
    }

    private static List<SdkSegment> SegmentsOf(ElfFile elf, string name, ulong fileOffset, ulong rva)
    {
        List<SdkSegment> segments = [];
        foreach (ElfSegment segment in elf.Segments)
        {
            if (segment.Type != ElfSegment.TypeLoad)
            {
                continue;
            }

            string number = string.Create(CultureInfo.InvariantCulture, $"{name} {segments.Count}");
            if (segment.Permissions == SecInfoFlags.None
                || segment.Alignment % PageContent.PageSize != 0
                || segment.Address > ulong.MaxValue - rva)
            {
                throw new ImageException(
                    (long)(fileOffset + segment.HeaderOffset),
                    $"{number} has no permissions, is not aligned to pages, or lies beyond all addresses");
            }

            segments.Add(new SdkSegment(
                fileOffset + segment.HeaderOffset, fileOffset + segment.FileOffset, segment.FileSize, rva + segment.Address,
                segment.MemorySize, segment.Permissions, number));
        }

        return segments;
    }

    // get_reloc_bitmap: the pages that relocations change, of the tables that the dynamic segment names.
    private static ulong[] RelocatedPages(ElfFile elf, IReadOnlyDictionary<ulong, ulong> dynamic)
    {
        ulong image = 0;
        foreach (ElfSegment segment in elf.Segments)
        {
            if (segment.Type == ElfSegment.TypeLoad)
            {
                image = Math.Max(image, segment.Address + Math.Min(segment.MemorySize, ulong.MaxValue - segment.Address));
            }
        }

        HashSet<ulong> pages = [];
        AddPages(ElfDynamic.PltRelocations, ElfDynamic.PltRelocationsSize);
        AddPages(elf.Is64 ? ElfDynamic.Rela : ElfDynamic.Rel, elf.Is64 ? ElfDynamic.RelaSize : ElfDynamic.RelSize);
        ulong[] sorted = [.. pages];
        Array.Sort(sorted);
        return sorted;

        void AddPages(ulong table, ulong tableSize)
        {
            if (!dynamic.TryGetValue(table, out ulong address)
                || elf.Sections.FirstOrDefault(section => section.Address == address) is not { } section)
            {
                return;
            }

            ulong entry = elf.Is64 ? 24u : 8u;
            ulong word = elf.Is64 ? 8u : 4u;
            ulong size = dynamic.GetValueOrDefault(tableSize);
            elf.Bytes.Memory(section.FileOffset, size, "the relocations");
            for (ulong at = section.FileOffset; at + entry <= section.FileOffset + size; at += entry)
            {
                ulong target = elf.Is64 ? elf.Bytes.U64(at, "a relocation") : elf.Bytes.U32(at, "a relocation");
                uint type = elf.Is64 ? elf.Bytes.U32(at + 8, "a relocation") : elf.Bytes.U32(at + 4, "a relocation") & 0xFF;
                if (type == 0)
                {
                    continue;
                }

                if (target >= image)
                {
                    throw new ImageException((long)at, $"a relocation at {FactList.Hex(target)} lies outside the segments");
                }

                pages.Add(target / PageContent.PageSize);
                if (target % PageContent.PageSize > PageContent.PageSize - word)
                {
                    pages.Add((target / PageContent.PageSize) + 1);
                }
            }
        }
    }

    private static List<string> Notes(ElfFile elf)
    {
        List<string> notes = [];
        if (elf.Machine is not ElfFile.MachineX64 and not ElfFile.Machine386)
        {
            notes.Add($"Its machine {FactList.Hex(elf.Machine)} is not x86: no loader takes it.");
        }

        if (elf.Symbol("g_global_data_sim"u8, ElfSection.TypeDynamicSymbols) is not null
            || elf.Symbol("g_global_data_sim"u8, ElfSection.TypeSymbols) is not null)
        {
            notes.Add("It is linked for the SDK's simulation mode: loaders for hardware refuse it.");
        }

        if (elf.Section(".pcltbl") is not null)
        {
            notes.Add("It is encrypted (protected code loader): its loader needs a sealed key, and its code cannot be reviewed here.");
        }

        return notes;
    }
}
