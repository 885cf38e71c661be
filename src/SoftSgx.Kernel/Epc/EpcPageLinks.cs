namespace SoftSgx.Kernel;

/// <summary>
/// The links of all lists of EPC pages: a page is on one list at most, free or reclaimable, so two arrays serve them all.
/// </summary>
/// <remarks>Not thread-safe: whoever owns a list guards it; a page changes lists only through its one user.</remarks>
internal sealed class EpcPageLinks
{
    /// <summary>The end of a list.</summary>
    public const int None = -1;

    /// <summary>In <see cref="Previous"/>: the page is on no doubly linked list.</summary>
    public const int Unlisted = -2;

    /// <summary>Links for so many pages, none of which is on a list.</summary>
    public EpcPageLinks(int pages)
    {
        Next = new int[pages];
        Previous = new int[pages];
        Previous.AsSpan().Fill(Unlisted);
    }

    /// <summary>The page behind each page.</summary>
    public int[] Next { get; }

    /// <summary>The page before each page.</summary>
    public int[] Previous { get; }
}
