using System.Globalization;
using System.Reflection.PortableExecutable;
using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>
/// Reads enclaves of the Intel SDK for Windows: DLLs with a section of metadata. Microsoft, "PE Format". What the loader adds of the file
/// (the headers without checksum and certificates, then every section but the metadata's, pages with relocations writable) is what
/// Fortanix's converter of such files found out; the loader's own source is not public.
/// </summary>
internal static class SdkPeReader
{
    private const ulong Page = PageContent.PageSize;
    private const int ChecksumOffset = 64;
    private const int CertificateTable = 4;

    // Linkers cut names after eight bytes; the SDK has named the section both ways.
    private static readonly string[] s_metadataSections = ["sgxmeta", ".sgxmeta"];

    internal static EnclaveImage Read(ImageBytes bytes)
    {
        PEHeaders headers = Headers(bytes);
        PEHeader optional = headers.PEHeader
            ?? throw new ImageException(headers.PEHeaderStartOffset, "the PE file has no optional header: it is no image");
        SectionHeader? metadata = headers.SectionHeaders
            .Where(static section => s_metadataSections.Contains(section.Name))
            .Select(static section => (SectionHeader?)section)
            .FirstOrDefault();
        if (metadata is not { } found)
        {
            throw new ImageException(0, $"it is a PE file, but no enclave: it has no section {string.Join(" or ", s_metadataSections)}");
        }

        bool is64 = optional.Magic == PEMagic.PE32Plus;
        string format = is64 ? "Intel SDK enclave (PE)" : "Intel SDK enclave (PE, 32 bits)";
        ulong start = (uint)found.PointerToRawData;
        bytes.Memory(start, (uint)found.SizeOfRawData, "the section of the metadata");
        List<SdkMetadata> blocks = SdkMetadata.ReadAll(bytes, start, start + (uint)found.SizeOfRawData);
        FactGroup facts = Facts(headers, optional);
        if (blocks.Count == 0)
        {
            return new EnclaveImage
            {
                Format = $"{format}, not signed",
                Kind = ImageKind.IntelSdkPe,
                Facts = [facts],
                Notes = [
                    "It is linked for the SDK but not signed: its metadata section is empty, and its layout is made when it is signed."],
            };
        }

        if (blocks[^1] is { Major: 1, Minor: < 3 } old)
        {
            return new EnclaveImage
            {
                Format = format,
                Kind = ImageKind.IntelSdkPe,
                Signature = old.Signature,
                SignatureOffset = (long)old.SignatureOffset,
                Facts = [facts, old.Facts($"metadata {old.Version}")],
                Notes = [
                    "Its metadata is older than the layout table (version 1.3): the loader of its time derived the layout, and "
                        + "nothing does today."],
            };
        }

        (IReadOnlyList<SdkSegment>, IReadOnlyList<ulong>) parts = (
            Segments(headers, optional, found), RelocatedPages(bytes, headers, optional));
        List<string> notes = [
            "The layout of PE enclaves could not be compared with a loader's: trust it if it measures to the signature's ENCLAVEHASH."];
        return SdkImage.Of(
            ImageKind.IntelSdkPe, format, blocks, _ => parts, [facts], notes, [], patched => ClearHeader(patched, headers, optional));
    }

    private static PEHeaders Headers(ImageBytes bytes)
    {
        try
        {
            ArraySegment<byte> array = MemoryMarshal.TryGetArray(bytes.All, out ArraySegment<byte> segment) ? segment : bytes.All.ToArray();
            using MemoryStream stream = new(array.Array!, array.Offset, array.Count, writable: false);
            return new PEHeaders(stream);
        }
        catch (Exception e) when (
            e is BadImageFormatException or IOException or ArgumentException or OverflowException or InvalidOperationException)
        {
            throw new ImageException(0, "the headers of the PE file are not well-formed, or cut off");
        }
    }

    private static void ClearHeader(PatchedBytes patched, PEHeaders headers, PEHeader optional)
    {
        int directories = optional.Magic == PEMagic.PE32Plus ? 112 : 96;
        long where = headers.PEHeaderStartOffset;
        patched.Patch(where, (ulong)(where + ChecksumOffset), new byte[4]);
        patched.Patch(where, (ulong)(where + directories + (CertificateTable * 8)), new byte[8]);
    }

    private static List<SdkSegment> Segments(PEHeaders headers, PEHeader optional, SectionHeader metadata)
    {
        List<SdkSegment> segments =
            [new SdkSegment(0, 0, (uint)optional.SizeOfHeaders, 0, (uint)optional.SizeOfHeaders, SecInfoFlags.R, "PE headers")];
        foreach (SectionHeader section in headers.SectionHeaders)
        {
            if (section.Equals(metadata))
            {
                continue;
            }

            uint size = (uint)section.VirtualSize;
            uint inFile = (uint)Math.Min((uint)section.SizeOfRawData, (size + Page - 1) / Page * Page);
            segments.Add(new SdkSegment(
                (ulong)headers.PEHeaderStartOffset,
                (uint)section.PointerToRawData,
                inFile,
                (uint)section.VirtualAddress,
                size,
                Permissions(section.SectionCharacteristics),
                $"section {FactList.Printable(section.Name)}"));
        }

        return segments;
    }

    private static SecInfoFlags Permissions(SectionCharacteristics characteristics) =>
        (characteristics.HasFlag(SectionCharacteristics.MemRead) ? SecInfoFlags.R : 0)
        | (characteristics.HasFlag(SectionCharacteristics.MemWrite) ? SecInfoFlags.W : 0)
        | (characteristics.HasFlag(SectionCharacteristics.MemExecute) ? SecInfoFlags.X : 0);

    // The blocks of the base relocations, one for each page. An entry of type 0 is padding.
    private static ulong[] RelocatedPages(ImageBytes bytes, PEHeaders headers, PEHeader optional)
    {
        const uint BlockHeader = 8;
        DirectoryEntry directory = optional.BaseRelocationTableDirectory;
        if (directory.Size <= 0 || !headers.TryGetDirectoryOffset(directory, out int offset) || offset < 0)
        {
            return [];
        }

        HashSet<ulong> pages = [];
        ulong end = (ulong)offset + (uint)directory.Size;
        bytes.Memory((ulong)offset, (uint)directory.Size, "the base relocations");
        for (ulong at = (ulong)offset; at + BlockHeader <= end;)
        {
            uint page = bytes.U32(at, "base relocations");
            uint size = bytes.U32(at + 4, "base relocations");
            if (size < BlockHeader || size > end - at)
            {
                throw new ImageException((long)at, $"a block of base relocations has {size} bytes");
            }

            for (ulong entry = at + BlockHeader; entry + 2 <= at + size; entry += 2)
            {
                ushort value = bytes.U16(entry, "a base relocation");
                if (value >> 12 != 0)
                {
                    pages.Add((page + (value & 0xFFFu)) / Page);
                }
            }

            at += size;
        }

        ulong[] sorted = [.. pages];
        Array.Sort(sorted);
        return sorted;
    }

    private static FactGroup Facts(PEHeaders headers, PEHeader optional)
    {
        const int Shown = 64;
        FactList facts = new FactList("PE header", headers.PEHeaderStartOffset)
            .Text("magic", optional.Magic.ToString())
            .Text("machine", headers.CoffHeader.Machine.ToString())
            .Hex("entry point", (uint)optional.AddressOfEntryPoint)
            .Hex("image size", (uint)optional.SizeOfImage)
            .Count("sections", (ulong)headers.SectionHeaders.Length);
        foreach (SectionHeader section in headers.SectionHeaders.Take(Shown))
        {
            facts.Text(
                $"section {FactList.Printable(section.Name)}",
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{PermissionNames.Of(Permissions(section.SectionCharacteristics))} address 0x{section.VirtualAddress:x}, "
                        + $"0x{section.VirtualSize:x} bytes, 0x{section.SizeOfRawData:x} of them in the file at "
                        + $"0x{section.PointerToRawData:x}"));
        }

        return facts.Build();
    }
}
