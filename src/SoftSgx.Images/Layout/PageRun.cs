using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>
/// Consecutive pages of an enclave that are added alike: one EADD for each page, and one EEXTEND for each of its chunks of 256 bytes
/// that is measured, page after page.
/// </summary>
/// <param name="Offset">Offset of the first page in the enclave, in bytes; a multiple of 4,096.</param>
/// <param name="PageCount">Number of pages; at least 1.</param>
/// <param name="Flags">SECINFO.FLAGS: permissions and page type.</param>
/// <param name="MeasuredChunks">Bit i: the 256 bytes at offset 256·i of each page are measured. <see cref="AllChunks"/> for all.</param>
/// <param name="Content">What the pages hold.</param>
/// <param name="Name">What the pages are, for people: "heap", "segment 2", "TCS of thread 0".</param>
public sealed record PageRun(ulong Offset, ulong PageCount, SecInfoFlags Flags, ushort MeasuredChunks, PageContent Content, string Name)
{
    /// <summary>Every chunk is measured.</summary>
    public const ushort AllChunks = 0xFFFF;

    /// <summary>What the pages are for.</summary>
    public PageUse Use { get; init; }

    /// <summary>Offset of the first byte behind the run.</summary>
    public ulong End => Offset + (PageCount * PageContent.PageSize);

    /// <summary>The page type in the flags.</summary>
    public PageType PageType => new SecInfo { Flags = Flags }.PageType;

    /// <summary>R, W and X of the flags.</summary>
    public SecInfoFlags Permissions => Flags & SecInfoFlags.RWX;
}
