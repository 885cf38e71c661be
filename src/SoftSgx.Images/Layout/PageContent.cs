namespace SoftSgx.Images;

/// <summary>Contents of a run of pages: read page by page when they are wanted, never held as a whole.</summary>
public abstract class PageContent
{
    /// <summary>Bytes of a page.</summary>
    public const int PageSize = 4096;

    /// <summary>Pages of zeros.</summary>
    public static PageContent Zero { get; } = new RepeatedPage(new byte[PageSize]);

    /// <summary>True if all pages of the run are the same, so that one of them can stand for all.</summary>
    public abstract bool IsUniform { get; }

    /// <summary>The same page over and over.</summary>
    /// <param name="page">4,096 bytes.</param>
    public static PageContent Repeat(ReadOnlyMemory<byte> page) => new RepeatedPage(page);

    /// <summary>Consecutive bytes; pages beyond their end, and the rest of the last page, are zero.</summary>
    public static PageContent Of(ReadOnlyMemory<byte> bytes) => new ConsecutiveBytes(bytes);

    /// <summary>Reads one page.</summary>
    /// <param name="index">Number of the page in its run.</param>
    /// <param name="page">Receives 4,096 bytes.</param>
    public abstract void Read(ulong index, Span<byte> page);

    private sealed class RepeatedPage : PageContent
    {
        private readonly ReadOnlyMemory<byte> _page;

        internal RepeatedPage(ReadOnlyMemory<byte> page)
        {
            ArgumentOutOfRangeException.ThrowIfNotEqual(page.Length, PageSize);
            _page = page;
        }

        public override bool IsUniform => true;

        public override void Read(ulong index, Span<byte> page) => _page.Span.CopyTo(page);
    }

    private sealed class ConsecutiveBytes(ReadOnlyMemory<byte> bytes) : PageContent
    {
        public override bool IsUniform => bytes.IsEmpty;

        public override void Read(ulong index, Span<byte> page)
        {
            ulong start = Math.Min(index, (ulong)int.MaxValue / PageSize) * PageSize;
            ReadOnlySpan<byte> rest = start < (ulong)bytes.Length ? bytes.Span[(int)start..] : [];
            ReadOnlySpan<byte> part = rest[..Math.Min(rest.Length, PageSize)];
            part.CopyTo(page);
            page[part.Length..PageSize].Clear();
        }
    }
}
