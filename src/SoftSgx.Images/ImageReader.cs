using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>Tells what kind of file a file is, and reads it.</summary>
public static class ImageReader
{
    /// <summary>The longest ELF or PE file, which is read into memory. SGXS streams, which are not, may be longer.</summary>
    public const long LongestImage = 1L << 30;

    /// <summary>The longest file of any other kind.</summary>
    public const long LongestOther = 1L << 26;

    private static ReadOnlySpan<byte> PeMagic => "MZ"u8;

    // Enough for every magic.
    private const int MagicLength = 16;

    /// <summary>Reads a file.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="ImageException">It is of no known kind, or not well-formed.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static EnclaveImage Read(string path) => Read(path, ImageKind.Unknown);

    /// <summary>Reads a file as one of a kind.</summary>
    /// <param name="path">The file.</param>
    /// <param name="kind">The kind; <see cref="ImageKind.Unknown"/> to tell it by the contents.</param>
    /// <exception cref="ImageException">It is of no known kind, not of that kind, or not well-formed.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static EnclaveImage Read(string path, ImageKind kind) => Read(ImageSource.OpenFile(path), kind);

    /// <summary>Reads bytes.</summary>
    internal static EnclaveImage Read(ImageSource source, ImageKind kind)
    {
        if (source.Length == 0)
        {
            throw new ImageException(0, "the file is empty");
        }

        byte[] magic = new byte[Math.Min(MagicLength, source.Length)];
        source.ReadExactly(0, magic, "the file");
        bool isStream = magic.AsSpan().StartsWith(SgxsReader.ECreate) || magic.AsSpan().StartsWith(SgxsReader.Unsized);
        if (kind == ImageKind.Sgxs || (kind == ImageKind.Unknown && isStream))
        {
            return SgxsReader.Read(source);
        }

        bool isImage = magic.AsSpan().StartsWith(ElfFile.Magic) || magic.AsSpan().StartsWith(PeMagic);
        if (source.Length > (isImage ? LongestImage : LongestOther))
        {
            throw new ImageException(
                0, isImage ? "it is an ELF or PE file of more than 1 GiB" : "no kind of file that is known by its contents is that long");
        }

        ImageBytes bytes = new(source.All());
        return kind == ImageKind.Unknown ? Recognise(bytes) : ReadAs(bytes, kind);
    }

    private static EnclaveImage Recognise(ImageBytes bytes)
    {
        ReadOnlySpan<byte> contents = bytes.All.Span;
        if (contents.StartsWith(ElfFile.Magic))
        {
            return ReadElf(bytes);
        }

        if (contents.StartsWith(PeMagic))
        {
            return SdkPeReader.Read(bytes);
        }

        ImageKind kind =
            contents.StartsWith(SigStruct.HeaderConstant[..12]) ? ImageKind.SigStruct
            : StructureReader.Guess(bytes) is not ImageKind.Unknown and ImageKind guessed ? guessed
            : QuoteReader.IsPlausible(bytes) ? ImageKind.Quote
            : GramineManifestReader.IsPlausible(contents) ? ImageKind.GramineManifest
            : ImageKind.Unknown;
        return kind == ImageKind.Unknown
            ? throw new ImageException(0, "this is no kind of enclave file that is known by its contents")
            : ReadAs(bytes, kind);
    }

    private static EnclaveImage ReadElf(ImageBytes bytes)
    {
        ElfFile elf = ElfFile.Read(bytes);
        if (elf.Section(SdkElfReader.SectionName) is { } metadata)
        {
            return SdkElfReader.Read(elf, metadata);
        }

        if (elf.Section(OpenEnclaveProperties.SectionName) is { } info)
        {
            return OpenEnclaveReader.Read(elf, info);
        }

        return elf.Section(SelftestReader.TcsSection) is not null
            ? SelftestReader.Read(elf)
            : throw new ImageException(
                0,
                $"it is an ELF file, but no enclave: it has none of the sections {SdkElfReader.SectionName}, "
                    + $"{OpenEnclaveProperties.SectionName}, {SelftestReader.TcsSection}");
    }

    private static EnclaveImage ReadAs(ImageBytes bytes, ImageKind kind)
    {
        switch (kind)
        {
            case ImageKind.IntelSdkElf:
                ElfFile sdk = Elf(bytes);
                return SdkElfReader.Read(sdk, sdk.Section(SdkElfReader.SectionName) ?? throw Missing(SdkElfReader.SectionName));
            case ImageKind.IntelSdkPe:
                return SdkPeReader.Read(bytes);
            case ImageKind.OpenEnclave:
                ElfFile open = Elf(bytes);
                return OpenEnclaveReader.Read(
                    open, open.Section(OpenEnclaveProperties.SectionName) ?? throw Missing(OpenEnclaveProperties.SectionName));
            case ImageKind.KernelSelftest:
                return SelftestReader.Read(Elf(bytes));
            case ImageKind.GramineManifest:
                return GramineManifestReader.Read(bytes);
            case ImageKind.SigStruct:
                return StructureReader.SigStruct(bytes);
            case ImageKind.EInitToken:
                return StructureReader.EInitToken(bytes);
            case ImageKind.Report:
                return StructureReader.Report(bytes);
            case ImageKind.TargetInfo:
                return StructureReader.TargetInfo(bytes);
            case ImageKind.Quote:
                return QuoteReader.Read(bytes);
            default:
                throw new ArgumentOutOfRangeException(nameof(kind));
        }
    }

    private static ElfFile Elf(ImageBytes bytes) => bytes.All.Span.StartsWith(ElfFile.Magic)
        ? ElfFile.Read(bytes)
        : throw new ImageException(0, "it is no ELF file");

    private static ImageException Missing(string section) => new($"it has no section {section}");
}
