using System.Globalization;
using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>
/// A metadata block of an Intel SDK enclave: how the loader builds the enclave, and its signature.
/// Intel SGX SDK, common/inc/internal/metadata.h (metadata_t).
/// </summary>
/// <remarks>
/// <code>
///    0 magic            32 desired_misc_select
///    8 version          36 tcs_min_pool
///   16 size             40 enclave_size
///   20 tcs_policy       48 attributes
///   24 ssa_frame_size   64 enclave_css, the SIGSTRUCT
///   28 max_save_buffer  1872 dirs: patch, layout, ELRANGE, extension; offset and size of each
/// </code>
/// Blocks older than the fields that they lack have data there: ELRANGE counts from version 11.x, the extensions from 1.5 and 3.2.
/// </remarks>
internal sealed class SdkMetadata
{
    internal const ulong Magic = 0x86A80294635D0E4C;

    /// <summary>The name of the note that the blocks stand in, with its zero byte.</summary>
    internal static ReadOnlySpan<byte> NoteName => "sgx_metadata\0"u8;

    private const ulong CssOffset = 64;
    private const ulong DirectoriesOffset = CssOffset + SigStruct.Size;
    private const ulong DirectorySize = 8;
    private const ulong SmallestSize = DirectoriesOffset + (2 * DirectorySize);
    private const ulong LayoutEntrySize = 32;
    private const ulong PatchEntrySize = 32;
    private const ulong ExtensionEntrySize = 16;

    /// <summary>The most entries of a table: some eighty times as many as the signing tool has room for.</summary>
    private const ulong MostEntries = 1 << 16;

    private const uint SmallestSsaFrame = 1;
    private const uint LargestSsaFrame = 4;
    private const uint LargestTcsPolicy = 1;

    /// <summary>From these major versions on, less <see cref="MajorVersionGap"/>, a block has an ELRANGE.</summary>
    private const uint MajorVersionGap = 10;

    private readonly ImageBytes _bytes;

    private SdkMetadata(ImageBytes bytes, ulong offset, ulong end)
    {
        _bytes = bytes;
        Offset = offset;
        ulong version = bytes.U64(offset + 8, "the metadata's version");
        Major = (uint)(version >> 32);
        Minor = (uint)version;
        Size = bytes.U32(offset + 16, "the metadata's size");
        if (Size < SmallestSize || Size > end - offset)
        {
            throw new ImageException((long)offset + 16, $"the metadata's size {Size} is not from {SmallestSize} to {end - offset}");
        }

        bytes.Memory(offset, Size, "the metadata");
        TcsPolicy = bytes.U32(offset + 20, "tcs_policy");
        SsaFrameSize = bytes.U32(offset + 24, "ssa_frame_size");
        MaximumSaveBuffer = bytes.U32(offset + 28, "max_save_buffer_size");
        DesiredMiscSelect = (MiscSelect)bytes.U32(offset + 32, "desired_misc_select");
        TcsMinimumPool = bytes.U32(offset + 36, "tcs_min_pool");
        EnclaveSize = bytes.U64(offset + 40, "enclave_size");
        Attributes = MemoryMarshal.Read<SgxAttributes>(bytes.Span(offset + 48, SgxAttributes.Size, "attributes"));
        Signature = MemoryMarshal.Read<SigStruct>(bytes.Span(SignatureOffset, SigStruct.Size, "the SIGSTRUCT"));
    }

    /// <summary>Offset of the block into the file.</summary>
    internal ulong Offset { get; }

    internal uint Major { get; }

    internal uint Minor { get; }

    internal uint Size { get; }

    internal uint TcsPolicy { get; }

    internal uint SsaFrameSize { get; }

    internal uint MaximumSaveBuffer { get; }

    internal MiscSelect DesiredMiscSelect { get; }

    internal uint TcsMinimumPool { get; }

    /// <summary>Bytes that the enclave's pages span; SECS.SIZE unless there is an ELRANGE of its own.</summary>
    internal ulong EnclaveSize { get; }

    internal SgxAttributes Attributes { get; }

    internal SigStruct Signature { get; }

    internal ulong SignatureOffset => Offset + CssOffset;

    internal string Version => string.Create(CultureInfo.InvariantCulture, $"{Major}.{Minor}");

    /// <summary>Version 1.3, of SDK 1.5, whose loader adds a page more behind some segments.</summary>
    internal bool IsVersion13 => Major == 1 && Minor == 3;

    /// <summary>The generation: the major version without what says that there is an ELRANGE.</summary>
    internal uint Generation => Major % MajorVersionGap;

    internal bool HasElRange => Major > MajorVersionGap;

    // is_extend_entry_supported of the loader.
    internal bool HasExtensions => Generation switch { 2 => false, 1 => Minor >= 5, 3 => Minor >= 2, _ => true };

    /// <summary>All blocks, one behind the other, as the loader walks them: until something is no block.</summary>
    /// <param name="bytes">The file.</param>
    /// <param name="offset">Where the first one may stand.</param>
    /// <param name="end">Where the room for them ends.</param>
    internal static List<SdkMetadata> ReadAll(ImageBytes bytes, ulong offset, ulong end)
    {
        // A real file has three; each is larger than a SIGSTRUCT, so the file's length bounds them, too.
        const int Most = 16;
        List<SdkMetadata> blocks = [];
        while (offset + DirectoriesOffset <= end && bytes.U64(offset, "the metadata's magic") == Magic)
        {
            if (blocks.Count == Most)
            {
                throw new ImageException((long)offset, $"there are more than {Most} metadata blocks");
            }

            blocks.Add(new SdkMetadata(bytes, offset, end));
            offset += blocks[^1].Size;
        }

        return blocks;
    }

    /// <summary>
    /// Number of the block that the current loader takes on a processor and kernel with SGX2: the highest version of those not above 3,
    /// generation 2 left out (psw/urts/urts_com.h, get_metadata). If it takes none, the highest of all.
    /// </summary>
    internal static int Choose(IReadOnlyList<SdkMetadata> blocks, out bool isLoadable)
    {
        const uint Newest = 3;
        int chosen = -1;
        int highest = 0;
        for (int i = 0; i < blocks.Count; i++)
        {
            if (blocks[i].Order > blocks[highest].Order)
            {
                highest = i;
            }

            if (blocks[i].Generation is not 2 and <= Newest && (chosen < 0 || blocks[i].Order > blocks[chosen].Order))
            {
                chosen = i;
            }
        }

        isLoadable = chosen >= 0;
        return isLoadable ? chosen : highest;
    }

    private ulong Order => ((ulong)Major << 32) | Minor;

    /// <summary>The checks of the loader's validate_metadata that do not need the tables.</summary>
    internal void Check()
    {
        if (TcsPolicy > LargestTcsPolicy)
        {
            throw new ImageException((long)Offset + 20, $"tcs_policy {TcsPolicy} is neither 0 (bound) nor 1 (unbound)");
        }

        if (SsaFrameSize is < SmallestSsaFrame or > LargestSsaFrame)
        {
            throw new ImageException(
                (long)Offset + 24, $"ssa_frame_size {SsaFrameSize} is not from {SmallestSsaFrame} to {LargestSsaFrame} pages");
        }

        LayoutBuilder.CheckSize(EnclaveSize, (long)Offset + 40);
    }

    /// <summary>The patches: bytes of the file that the loader replaces by bytes of the metadata.</summary>
    internal PatchedBytes Patches()
    {
        PatchedBytes patched = new(_bytes);
        (ulong start, ulong size) = Directory(0, "the patch table");
        for (ulong at = start; at + PatchEntrySize <= start + size; at += PatchEntrySize)
        {
            ulong destination = _bytes.U64(at, "a patch");
            uint source = _bytes.U32(at + 8, "a patch");
            uint length = _bytes.U32(at + 12, "a patch");
            patched.Patch((long)at, destination, InBlock(at, source, length, "the bytes of a patch"));
        }

        return patched;
    }

    /// <summary>The entries of the layout table.</summary>
    internal List<SdkLayoutEntry> LayoutEntries()
    {
        (ulong start, ulong size) = Directory(1, "the layout table");
        List<SdkLayoutEntry> entries = [];
        for (ulong at = start; at + LayoutEntrySize <= start + size; at += LayoutEntrySize)
        {
            entries.Add(SdkLayoutEntry.Read(_bytes, at));
        }

        return entries;
    }

    /// <summary>The range of addresses, if the block has one of its own: its size, and where the enclave's first page lies in it.</summary>
    internal (ulong Size, ulong ImageOffset)? ElRange()
    {
        if (!HasElRange)
        {
            return null;
        }

        const ulong Expected = 24;
        (ulong at, ulong size) = Directory(2, "the ELRANGE");
        if (size != Expected)
        {
            throw new ImageException(
                (long)(Offset + DirectoriesOffset + (2 * DirectorySize)), $"the ELRANGE has {size} bytes, not {Expected}");
        }

        ulong image = _bytes.U64(at, "enclave_image_address");
        ulong start = _bytes.U64(at + 8, "elrange_start_address");
        ulong length = _bytes.U64(at + 16, "elrange_size");
        LayoutBuilder.CheckSize(length, (long)at + 16);
        if (start > image
            || image % PageContent.PageSize != 0
            || (start & (length - 1)) != 0
            || image - start > length
            || EnclaveSize > length - (image - start))
        {
            throw new ImageException(
                (long)at,
                $"the enclave's {FactList.Hex(EnclaveSize)} bytes at {FactList.Hex(image)} do not lie in the ELRANGE of "
                    + $"{FactList.Hex(length)} bytes at {FactList.Hex(start)}, or one of them is not aligned");
        }

        return (length, image - start);
    }

    /// <summary>
    /// The module that is linked into the enclave's pages with a library for FIPS mode: where it stands in the file and in the enclave.
    /// </summary>
    internal (ulong FileOffset, ulong Rva, ulong Size)? SharedObject()
    {
        const uint Id = 0x1002;
        const ulong Expected = 32;
        if (!HasExtensions)
        {
            return null;
        }

        (ulong start, ulong size) = Directory(3, "the table of extensions");
        for (ulong at = start; at + ExtensionEntrySize <= start + size; at += ExtensionEntrySize)
        {
            uint length = _bytes.U32(at + 4, "an extension");
            uint offset = _bytes.U32(at + 8, "an extension");
            if (_bytes.U32(at, "an extension") == Id && length != 0 && offset != 0)
            {
                ulong entry = Offset + offset;
                InBlock(at, offset, Expected, "an extension");
                return (_bytes.U64(entry, "a module"), _bytes.U64(entry + 8, "a module"), _bytes.U64(entry + 16, "a module"));
            }
        }

        return null;
    }

    /// <summary>Bytes of the block; a range of offset 0 and no length is none.</summary>
    internal ReadOnlyMemory<byte> InBlock(ulong where, ulong offset, ulong length, string what)
    {
        if (offset == 0 && length == 0)
        {
            return default;
        }

        if (offset >= Size || length > Size - offset)
        {
            throw new ImageException(
                (long)where, $"{what} ({length} bytes at {FactList.Hex(offset)}) reaches beyond the metadata's {Size} bytes");
        }

        return _bytes.Memory(Offset + offset, length, what);
    }

    internal FactGroup Facts(string title) => new FactList(title, (long)Offset)
        .Text("version", Version)
        .Count("size", Size)
        .Text("tcs_policy", TcsPolicy switch { 0 => "0, bound", 1 => "1, unbound", _ => FactList.Hex(TcsPolicy) })
        .Count("ssa_frame_size", SsaFrameSize)
        .Count("max_save_buffer_size", MaximumSaveBuffer)
        .Text("desired_misc_select", StructureFacts.MiscSelectText(DesiredMiscSelect))
        .Count("tcs_min_pool", TcsMinimumPool)
        .Hex("enclave_size", EnclaveSize)
        .Text("attributes.flags", StructureFacts.AttributesText(Attributes.Flags))
        .Text("attributes.xfrm", StructureFacts.XfrmText(Attributes.Xfrm))
        .Count("patches", DirectoryCount(0, PatchEntrySize))
        .Count("layout entries", DirectoryCount(1, LayoutEntrySize))
        .Build();

    private ulong DirectoryCount(uint index, ulong entrySize) => _bytes.U32(DirectoryAt(index) + 4, "a directory") / entrySize;

    private ulong DirectoryAt(uint index) => Offset + DirectoriesOffset + (index * DirectorySize);

    private (ulong Start, ulong Size) Directory(uint index, string what)
    {
        ulong at = DirectoryAt(index);
        uint offset = _bytes.U32(at, what);
        uint size = _bytes.U32(at + 4, what);
        InBlock(at, offset, size, what);
        return size / ExtensionEntrySize <= MostEntries
            ? (Offset + offset, size)
            : throw new ImageException((long)at, $"{what} has {size} bytes, more than any has");
    }
}
