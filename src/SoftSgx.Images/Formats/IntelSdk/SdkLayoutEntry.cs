using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>What is done with the pages of a layout entry. Intel SGX SDK, common/inc/internal/se_page_attr.h.</summary>
[Flags]
internal enum SdkPageAttributes : ushort
{
    None = 0,

    /// <summary>The pages are added when the enclave is built.</summary>
    EAdd = 1 << 0,

    /// <summary>They are measured.</summary>
    EExtend = 1 << 1,

    /// <summary>They are removed again after the enclave has been built.</summary>
    ERemove = 1 << 2,

    /// <summary>They are added while the enclave runs.</summary>
    PostAdd = 1 << 3,

    /// <summary>They are removed while the enclave runs.</summary>
    PostRemove = 1 << 4,

    /// <summary>They belong to a thread that is made while the enclave runs.</summary>
    DynamicThread = 1 << 5,

    /// <summary>They grow downwards.</summary>
    GrowDown = 1 << 6,
}

/// <summary>
/// An entry of a layout table: pages, or a group that repeats the entries before it.
/// Intel SGX SDK, common/inc/internal/metadata.h (layout_entry_t, layout_group_t).
/// </summary>
/// <remarks>
/// <code>
///         0      2           4           8     16            20              24
/// pages   id     attributes  page_count  rva   content_size  content_offset  si_flags
/// group   id     entry_count load_times  load_step           reserved
/// </code>
/// </remarks>
internal sealed record SdkLayoutEntry(
    ulong Offset, ushort Id, ushort AttributesOrEntryCount, uint PageCountOrLoadTimes, ulong RvaOrLoadStep, uint ContentSize,
    uint ContentOffset, ulong SiFlags)
{
    private const ushort GroupFlag = 1 << 12;

    /// <summary>SECINFO.FLAGS of a TCS page, the one that the loader fills in.</summary>
    internal const ulong TcsFlags = (ulong)PageType.PT_TCS << 8;

    // By identifier, 1 to 23.
    private static readonly string[] s_names =
    [
        "", "heap", "heap, initial part", "heap that grows", "TCS", "thread data", "SSA", "stack that grows", "stack", "thread group",
        "guard",
        "heap", "heap, initial part", "heap that grows", "TCS", "thread data", "SSA", "stack that grows", "stack", "thread group",
        "reserved memory", "reserved memory, initial part", "reserved memory that grows", "user region",
    ];

    internal PageUse Use => Id switch
    {
        >= 1 and <= 3 or >= 11 and <= 13 => PageUse.Heap,
        4 or 14 => PageUse.Tcs,
        5 or 15 => PageUse.ThreadData,
        6 or 16 => PageUse.Ssa,
        7 or 8 or 17 or 18 => PageUse.Stack,
        10 => PageUse.Guard,
        >= 20 and <= 23 => PageUse.ReservedMemory,
        _ => PageUse.Unknown,
    };

    internal bool IsGroup => (Id & GroupFlag) != 0;

    internal SdkPageAttributes Attributes => (SdkPageAttributes)AttributesOrEntryCount;

    internal ushort EntryCount => AttributesOrEntryCount;

    internal uint PageCount => PageCountOrLoadTimes;

    internal uint LoadTimes => PageCountOrLoadTimes;

    internal ulong Rva => RvaOrLoadStep;

    internal ulong LoadStep => RvaOrLoadStep;

    internal bool IsTcs => SiFlags == TcsFlags;

    /// <summary>What the pages are; of a thread with its number.</summary>
    internal string Name(int thread)
    {
        string name = Id < s_names.Length ? s_names[Id] : $"layout entry {Id}";
        string of = Id is >= 4 and <= 8 or >= 14 and <= 18 ? $"{name} of thread {thread}" : name;
        return (Attributes & (SdkPageAttributes.EAdd | SdkPageAttributes.ERemove)) == (SdkPageAttributes.EAdd | SdkPageAttributes.ERemove)
            ? $"{of}, removed after building"
            : of;
    }

    internal static SdkLayoutEntry Read(ImageBytes bytes, ulong at)
    {
        const string What = "a layout entry";
        return new SdkLayoutEntry(
            at,
            bytes.U16(at, What),
            bytes.U16(at + 2, What),
            bytes.U32(at + 4, What),
            bytes.U64(at + 8, What),
            bytes.U32(at + 16, What),
            bytes.U32(at + 20, What),
            bytes.U64(at + 24, What));
    }
}
