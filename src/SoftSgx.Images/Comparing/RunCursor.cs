namespace SoftSgx.Images;

/// <summary>Goes through the pages of a layout in order, one or many at a time.</summary>
internal sealed class RunCursor : IDisposable
{
    private readonly IEnumerator<PageRun> _runs;
    private bool _loaded;

    public RunCursor(IEnumerable<PageRun> runs)
    {
        _runs = runs.GetEnumerator();
        Run = null!;
        Next();
    }

    /// <summary>The run it is in; meaningless at the end.</summary>
    public PageRun Run { get; private set; }

    /// <summary>Number of the page in its run.</summary>
    public ulong Index { get; private set; }

    /// <summary>True if there is no page left.</summary>
    public bool IsAtEnd { get; private set; }

    /// <summary>Offset of the page in the enclave.</summary>
    public ulong Offset => Run.Offset + (Index * PageContent.PageSize);

    /// <summary>Pages left in the run.</summary>
    public ulong Left => Run.PageCount - Index;

    /// <summary>Contents of the page.</summary>
    public byte[] Page { get; } = new byte[PageContent.PageSize];

    /// <summary>Reads the page's contents into <see cref="Page"/>, unless they are there already.</summary>
    public void Load()
    {
        if (!_loaded)
        {
            AddedPage.Read(Run, Index, Page);
            _loaded = true;
        }
    }

    /// <summary>Goes on by so many pages of the run.</summary>
    public void Advance(ulong pages)
    {
        Index += pages;
        _loaded &= Run.Content.IsUniform;
        if (Index == Run.PageCount)
        {
            Next();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _runs.Dispose();

    private void Next()
    {
        _loaded = false;
        Index = 0;
        do
        {
            IsAtEnd = !_runs.MoveNext();
            Run = IsAtEnd ? Run : _runs.Current;
        }
        while (!IsAtEnd && Run.PageCount == 0);
    }
}
