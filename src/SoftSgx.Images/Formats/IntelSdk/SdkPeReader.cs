using System.Reflection.PortableExecutable;

namespace SoftSgx.Images;

/// <summary>Reads enclaves of the Intel SDK for Windows: DLLs with a section of metadata.</summary>
internal static class SdkPeReader
{
    // Linkers cut names after eight bytes; the SDK has named the section both ways.
    private static readonly string[] s_metadataSections = ["sgxmeta", ".sgxmeta"];

    internal static EnclaveImage Read(ImageBytes bytes)
    {
        PeFile file = PeFile.Read(bytes);
        SectionHeader section = file.Sections.FirstOrDefault(static section => s_metadataSections.Contains(section.Name));
        if (section.Name is null)
        {
            throw new ImageException(0, $"it is a PE file, but no enclave: it has no section {string.Join(" or ", s_metadataSections)}");
        }

        string format = file.Is64 ? "Intel SDK enclave (PE)" : "Intel SDK enclave (PE, 32 bits)";
        ulong start = (uint)section.PointerToRawData;
        bytes.Memory(start, (uint)section.SizeOfRawData, "the section of the metadata");
        if (SdkPeMetadata.Read(bytes, start, (uint)section.SizeOfRawData) is not { } metadata)
        {
            return new EnclaveImage
            {
                Format = $"{format}, not signed",
                Kind = ImageKind.IntelSdkPe,
                Facts = [file.Facts()],
                Notes = [
                    "It is linked for the SDK but not signed: its metadata section is empty, and its layout is made when it is signed."],
            };
        }

        return new EnclaveImage
        {
            Format = format,
            Kind = ImageKind.IntelSdkPe,
            Layout = SdkPeLayout.Build(file, metadata, in section, out IReadOnlyList<AddressRange> reserved),
            Reserved = reserved,
            Signature = metadata.Signature,
            SignatureOffset = (long)metadata.SignatureOffset,
            Facts = [file.Facts(), metadata.Facts()],
        };
    }
}
