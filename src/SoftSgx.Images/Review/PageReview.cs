using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>Collects what the pages of an enclave give reason to ask about, while something else goes through them, too.</summary>
public sealed class PageReview
{
    // More names than these say no more.
    private const int MostNamed = 8;

    private readonly List<string> _writable = [];
    private readonly List<string> _unmeasured = [];
    private ulong _writablePages;
    private ulong _unmeasuredPages;

    /// <summary>Looks at one run.</summary>
    public void Add(PageRun run)
    {
        if (run.PageType != PageType.PT_REG || !run.Flags.HasFlag(SecInfoFlags.X))
        {
            return;
        }

        if (run.Flags.HasFlag(SecInfoFlags.W))
        {
            _writablePages += run.PageCount;
            Name(_writable, run);
        }

        if (run.MeasuredChunks != PageRun.AllChunks)
        {
            _unmeasuredPages += run.PageCount;
            Name(_unmeasured, run);
        }
    }

    internal IEnumerable<ReviewWarning> Warnings()
    {
        if (_writablePages > 0)
        {
            yield return new ReviewWarning(
                ReviewWarning.WritableExecutable, $"{_writablePages} pages are writable and executable: {string.Join(", ", _writable)}");
        }

        if (_unmeasuredPages > 0)
        {
            yield return new ReviewWarning(
                ReviewWarning.UnmeasuredExecutable,
                $"{_unmeasuredPages} executable pages are not measured, or not wholly: {string.Join(", ", _unmeasured)}");
        }
    }

    private static void Name(List<string> names, PageRun run)
    {
        if (names.Count <= MostNamed)
        {
            names.Add(names.Count == MostNamed ? "…" : $"{run.Name} at {FactList.Hex(run.Offset)}");
        }
    }
}
