using System.Globalization;
using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>
/// The metadata of an enclave of the Intel SDK for Windows: how large the parts are that the loader adds to the image, and the signature.
/// Intel SGX DCAP, QuoteGeneration/common/inc/internal/win/metadata.h (metadata_t).
/// </summary>
/// <remarks>
/// <code>
///    0 magic            32 ssa_frame_size
///    8 version          36 stack_max_size
///   16 size             40 heap_max_size
///   20 tcs_num          44 max_save_buffer_size
///   24 tcs_policy       48 desired_misc_select
///   28 ssa_num          52 attributes
///                       68 enclave_css, the SIGSTRUCT
/// </code>
/// Unlike the metadata of Linux it has no layout table: the loader derives the layout.
/// </remarks>
internal sealed class SdkPeMetadata
{
    /// <summary>Bytes, in all versions.</summary>
    internal const uint Length = (uint)CssOffset + SigStruct.Size;

    private const ulong CssOffset = 68;
    private const uint LargestTcsPolicy = 1;
    private const uint FewestSsaFrames = 2;
    private const uint LargestSsaFrame = 2;

    private readonly uint _saveBuffer;
    private readonly MiscSelect _miscSelect;
    private readonly SgxAttributes _attributes;

    private SdkPeMetadata(ImageBytes bytes, ulong offset)
    {
        const string What = "the metadata";
        Offset = offset;
        bytes.Memory(offset, Length, What);
        ulong version = bytes.U64(offset + 8, What);
        (Major, Minor) = ((uint)(version >> 32), (uint)version);
        uint size = bytes.U32(offset + 16, What);
        if (size != Length)
        {
            throw new ImageException((long)offset + 16, $"the metadata's size is {size}, not {Length} as in all enclaves of the SDK for Windows");
        }

        Threads = bytes.U32(offset + 20, What);
        TcsPolicy = bytes.U32(offset + 24, What);
        SsaFrames = bytes.U32(offset + 28, What);
        SsaFrameSize = bytes.U32(offset + 32, What);
        StackSize = bytes.U32(offset + 36, What);
        HeapSize = bytes.U32(offset + 40, What);
        _saveBuffer = bytes.U32(offset + 44, What);
        _miscSelect = (MiscSelect)bytes.U32(offset + 48, What);
        _attributes = MemoryMarshal.Read<SgxAttributes>(bytes.Span(offset + 52, SgxAttributes.Size, What));
        Signature = MemoryMarshal.Read<SigStruct>(bytes.Span(SignatureOffset, SigStruct.Size, What));
        Check();
    }

    /// <summary>Offset into the file.</summary>
    internal ulong Offset { get; }

    internal uint Major { get; }

    internal uint Minor { get; }

    internal uint Threads { get; }

    internal uint TcsPolicy { get; }

    internal uint SsaFrames { get; }

    /// <summary>Pages of an SSA frame.</summary>
    internal uint SsaFrameSize { get; }

    /// <summary>Bytes of a thread's stack.</summary>
    internal uint StackSize { get; }

    /// <summary>Bytes of heap.</summary>
    internal uint HeapSize { get; }

    internal SigStruct Signature { get; }

    internal ulong SignatureOffset => Offset + CssOffset;

    internal string Version => string.Create(CultureInfo.InvariantCulture, $"{Major}.{Minor}");

    /// <summary>Reads it; null where none stands, as in files that are not signed.</summary>
    internal static SdkPeMetadata? Read(ImageBytes bytes, ulong offset, ulong room) =>
        room >= sizeof(ulong) && bytes.U64(offset, "the metadata's magic") == SdkMetadata.Magic ? new SdkPeMetadata(bytes, offset) : null;

    internal FactGroup Facts() => new FactList($"metadata {Version}", (long)Offset)
        .Text("version", Version)
        .Count("tcs_num", Threads)
        .Text("tcs_policy", TcsPolicy == 0 ? "0, bound" : "1, unbound")
        .Count("ssa_num", SsaFrames)
        .Count("ssa_frame_size", SsaFrameSize)
        .Hex("stack_max_size", StackSize)
        .Hex("heap_max_size", HeapSize)
        .Count("max_save_buffer_size", _saveBuffer)
        .Text("desired_misc_select", StructureFacts.MiscSelectText(_miscSelect))
        .Text("attributes.flags", StructureFacts.AttributesText(_attributes.Flags))
        .Text("attributes.xfrm", StructureFacts.XfrmText(_attributes.Xfrm))
        .Build();

    private void Check()
    {
        const uint KnownMajor = 1;
        long at = (long)Offset;
        _ = Major == KnownMajor ? 0 : throw new ImageException(at + 8, $"metadata of version {Version} is of no enclave of the SDK for Windows");
        _ = Threads > 0 ? 0 : throw new ImageException(at + 20, "tcs_num is 0: nobody could enter the enclave");
        _ = TcsPolicy <= LargestTcsPolicy ? 0 : throw new ImageException(at + 24, $"tcs_policy {TcsPolicy} is neither 0 (bound) nor 1 (unbound)");
        _ = SsaFrames >= FewestSsaFrames ? 0 : throw new ImageException(at + 28, $"ssa_num {SsaFrames} is less than {FewestSsaFrames}");
        _ = SsaFrameSize is > 0 and <= LargestSsaFrame
            ? 0 : throw new ImageException(at + 32, $"ssa_frame_size {SsaFrameSize} is not from 1 to {LargestSsaFrame} pages");
        _ = StackSize > 0 ? 0 : throw new ImageException(at + 36, "stack_max_size is 0");
    }
}
