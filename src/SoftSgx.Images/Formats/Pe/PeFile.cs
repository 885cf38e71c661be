using System.Globalization;
using System.Reflection.PortableExecutable;
using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>What enclaves need of a PE file: sections, base relocations, exports, the template of thread-local data. Microsoft, "PE Format".</summary>
internal sealed class PeFile
{
    private const ulong Page = PageContent.PageSize;
    private const int CertificateTable = 4;

    private readonly PEHeaders _headers;

    private PeFile(ImageBytes bytes, PEHeaders headers, PEHeader optional) => (Bytes, _headers, Optional) = (bytes, headers, optional);

    internal ImageBytes Bytes { get; }

    internal PEHeader Optional { get; }

    internal bool Is64 => Optional.Magic == PEMagic.PE32Plus;

    internal IReadOnlyList<SectionHeader> Sections => _headers.SectionHeaders;

    /// <summary>Offset of the optional header into the file: where it says what the headers say.</summary>
    internal long OptionalOffset => _headers.PEHeaderStartOffset;

    /// <summary>Offset of the optional header's CheckSum into the file.</summary>
    internal ulong ChecksumOffset => (ulong)OptionalOffset + 64;

    /// <summary>Offset of the entry of the certificate table in the data directories.</summary>
    internal ulong CertificatesOffset => (ulong)OptionalOffset + (Is64 ? 112UL : 96) + (CertificateTable * 8);

    /// <summary>Address behind the last section, whole pages.</summary>
    internal ulong End => Sections.Count == 0 ? 0 : Sections.Max(static section => (uint)section.VirtualAddress + RoundUp((uint)section.VirtualSize));

    internal static PeFile Read(ImageBytes bytes)
    {
        PEHeaders headers;
        try
        {
            ArraySegment<byte> array = MemoryMarshal.TryGetArray(bytes.All, out ArraySegment<byte> segment) ? segment : bytes.All.ToArray();
            using MemoryStream stream = new(array.Array!, array.Offset, array.Count, writable: false);
            headers = new PEHeaders(stream);
        }
        catch (Exception e) when (
            e is BadImageFormatException or IOException or ArgumentException or OverflowException or InvalidOperationException)
        {
            throw new ImageException(0, "the headers of the PE file are not well-formed, or cut off");
        }

        return headers.PEHeader is { } optional
            ? new PeFile(bytes, headers, optional)
            : throw new ImageException(headers.PEHeaderStartOffset, "the PE file has no optional header: it is no image");
    }

    internal static ulong RoundUp(ulong bytes) => (bytes + Page - 1) / Page * Page;

    internal static SecInfoFlags Permissions(in SectionHeader section) =>
        (section.SectionCharacteristics.HasFlag(SectionCharacteristics.MemRead) ? SecInfoFlags.R : 0)
        | (section.SectionCharacteristics.HasFlag(SectionCharacteristics.MemWrite) ? SecInfoFlags.W : 0)
        | (section.SectionCharacteristics.HasFlag(SectionCharacteristics.MemExecute) ? SecInfoFlags.X : 0);

    /// <summary>Where bytes of the image stand in the file.</summary>
    /// <param name="rva">Offset of the first from the image's base.</param>
    /// <param name="length">How many; all in one section.</param>
    /// <param name="what">For the message if they do not stand in the file.</param>
    internal ulong FileOffset(ulong rva, ulong length, string what)
    {
        foreach (SectionHeader section in Sections)
        {
            ulong start = (uint)section.VirtualAddress;
            ulong size = (uint)section.SizeOfRawData;
            if (rva >= start && rva - start < size && length <= size - (rva - start))
            {
                ulong offset = (uint)section.PointerToRawData + (rva - start);
                Bytes.Memory(offset, length, what);
                return offset;
            }
        }

        throw new ImageException(
            OptionalOffset, $"{what} ({FactList.Hex(length)} bytes at {FactList.Hex(rva)}) does not stand in a section of the file");
    }

    /// <summary>Address of an exported symbol, relative to the image's base; null if there is none of that name.</summary>
    internal uint? Export(ReadOnlySpan<byte> name)
    {
        const string What = "the export table";
        const uint TableSize = 40;
        if (Optional.ExportTableDirectory.Size == 0)
        {
            return null;
        }

        ulong table = FileOffset((uint)Optional.ExportTableDirectory.RelativeVirtualAddress, TableSize, What);
        uint functions = Bytes.U32(table + 20, What);
        uint names = Bytes.U32(table + 24, What);
        ulong addresses = FileOffset(Bytes.U32(table + 28, What), functions * 4UL, What);
        ulong pointers = FileOffset(Bytes.U32(table + 32, What), names * 4UL, What);
        ulong ordinals = FileOffset(Bytes.U32(table + 36, What), names * 2UL, What);
        for (uint i = 0; i < names; i++)
        {
            ulong text = FileOffset(Bytes.U32(pointers + (i * 4UL), What), 1, What);
            if (!Bytes.IsName(text, name))
            {
                continue;
            }

            ushort number = Bytes.U16(ordinals + (i * 2UL), What);
            return number < functions
                ? Bytes.U32(addresses + (number * 4UL), What)
                : throw new ImageException((long)(ordinals + (i * 2UL)), $"an export has number {number} of {functions}");
        }

        return null;
    }

    /// <summary>The template of thread-local data: where it lies in the image, and its bytes; null if there is none.</summary>
    internal (ulong Rva, ulong Size)? ThreadTemplate()
    {
        const string What = "the directory of thread-local data";
        DirectoryEntry directory = Optional.ThreadLocalStorageTableDirectory;
        if (directory.Size == 0)
        {
            return null;
        }

        ulong word = Is64 ? 8UL : 4;
        ulong at = FileOffset((uint)directory.RelativeVirtualAddress, 2 * word, What);
        ulong start = Is64 ? Bytes.U64(at, What) : Bytes.U32(at, What);
        ulong end = Is64 ? Bytes.U64(at + word, What) : Bytes.U32(at + word, What);
        return start >= Optional.ImageBase && end >= start
            ? (start - Optional.ImageBase, end - start)
            : throw new ImageException((long)at, $"thread-local data from {FactList.Hex(start)} to {FactList.Hex(end)} lies outside the image");
    }

    /// <summary>Numbers of the pages with a base relocation. They stand in blocks, one for each page; an entry of type 0 is padding.</summary>
    internal HashSet<ulong> RelocatedPages()
    {
        const uint BlockHeader = 8;
        const string What = "the base relocations";
        DirectoryEntry directory = Optional.BaseRelocationTableDirectory;
        if (directory.Size == 0)
        {
            return [];
        }

        HashSet<ulong> pages = [];
        ulong start = FileOffset((uint)directory.RelativeVirtualAddress, (uint)directory.Size, What);
        ulong end = start + (uint)directory.Size;
        for (ulong at = start; at + BlockHeader <= end;)
        {
            uint page = Bytes.U32(at, What);
            uint size = Bytes.U32(at + 4, What);
            if (size < BlockHeader || size > end - at)
            {
                throw new ImageException((long)at, $"a block of base relocations has {size} bytes");
            }

            for (ulong entry = at + BlockHeader; entry + 2 <= at + size; entry += 2)
            {
                ushort value = Bytes.U16(entry, What);
                if (value >> 12 != 0)
                {
                    pages.Add((page + (value & 0xFFFu)) / Page);
                }
            }

            at += size;
        }

        return pages;
    }

    internal FactGroup Facts()
    {
        const int Shown = 64;
        FactList facts = new FactList("PE header", _headers.PEHeaderStartOffset)
            .Text("magic", Optional.Magic.ToString())
            .Text("machine", _headers.CoffHeader.Machine.ToString())
            .Hex("entry point", (uint)Optional.AddressOfEntryPoint)
            .Hex("image size", (uint)Optional.SizeOfImage)
            .Count("sections", (ulong)_headers.SectionHeaders.Length);
        foreach (SectionHeader section in _headers.SectionHeaders.Take(Shown))
        {
            facts.Text(
                $"section {FactList.Printable(section.Name)}",
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{PermissionNames.Of(Permissions(section))} address 0x{section.VirtualAddress:x}, "
                        + $"0x{section.VirtualSize:x} bytes, 0x{section.SizeOfRawData:x} of them in the file at "
                        + $"0x{section.PointerToRawData:x}"));
        }

        return facts.Build();
    }
}
