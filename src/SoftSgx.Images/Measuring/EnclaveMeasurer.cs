using System.Numerics;
using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>
/// MRENCLAVE of a layout, by the leaves that build a running enclave: ECREATE, then EADD and EEXTEND page after page.
/// SDM vol. 3D, "Constructing an enclave".
/// </summary>
public static class EnclaveMeasurer
{
    /// <summary>Pages between two reports of progress, and two looks whether to go on.</summary>
    private const ulong Batch = 1 << 16;

    /// <summary>What a page costs as against a measured chunk: a record of 64 bytes, as against a record and 256 bytes.</summary>
    private const double PageCost = 64;
    private const double ChunkCost = 64 + 256;

    /// <summary>Measures an enclave. It takes a few pages of memory, however large the enclave is.</summary>
    /// <param name="layout">How it is built.</param>
    /// <param name="options">Limits, and who wants to know of what.</param>
    /// <exception cref="ImageException">A leaf refuses what the layout asks for, or the layout adds more than the limit.</exception>
    /// <exception cref="OperationCanceledException">It was to end early.</exception>
    public static EnclaveMeasurement Measure(EnclaveLayout layout, MeasureOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(layout);
        options ??= new MeasureOptions();
        MeasuringProcessor processor = new(layout.Size, layout.SsaFrameSize);
        options.Trace?.Created(layout.Size, layout.SsaFrameSize);

        Tally tally = new(layout, options);
        byte[] page = new byte[PageContent.PageSize];
        foreach (PageRun run in layout.Runs)
        {
            tally.Announce(run);
            if (options.Trace is { } trace)
            {
                PassLeafByLeaf(processor, run, page, trace, tally);
            }
            else
            {
                Pass(processor, run, page, tally);
            }
        }

        return new EnclaveMeasurement(processor.MrEnclave, tally.Pages, tally.Chunks);
    }

    private static void Pass(MeasuringProcessor processor, PageRun run, byte[] page, Tally tally)
    {
        // Contents of a page that is not measured change nothing; only a TCS is checked when it is added.
        bool areAlike = run.Content.IsUniform || (run.MeasuredChunks == 0 && run.PageType != PageType.PT_TCS);
        if (areAlike)
        {
            run.Content.Read(0, page);
        }

        // So many at once that progress is seen several times a second, also where all of each is hashed.
        ulong step = areAlike ? run.MeasuredChunks == 0 ? Batch : Batch / 64 : 1;
        for (ulong index = 0; index < run.PageCount; index += step)
        {
            ulong count = Math.Min(step, run.PageCount - index);
            if (!areAlike)
            {
                run.Content.Read(index, page);
            }

            processor.Pass(run, run.Offset + (index * PageContent.PageSize), count, page);
            tally.Add(run, count);
        }
    }

    private static void PassLeafByLeaf(MeasuringProcessor processor, PageRun run, byte[] page, IMeasurementTrace trace, Tally tally)
    {
        for (ulong index = 0; index < run.PageCount; index++)
        {
            if (index == 0 || !run.Content.IsUniform)
            {
                run.Content.Read(index, page);
            }

            processor.Pass(run, run.Offset + (index * PageContent.PageSize), page, trace);
            tally.Add(run, 1);
        }
    }

    /// <summary>What has been done, of how much.</summary>
    private sealed class Tally
    {
        private readonly MeasureOptions _options;
        private readonly ulong _pageLimit;
        private readonly ulong _size;
        private readonly double _allCost;
        private ulong _announced;
        private double _cost;
        private double _reported;

        public Tally(EnclaveLayout layout, MeasureOptions options)
        {
            _options = options;
            _pageLimit = options.Limit / PageContent.PageSize;
            _size = layout.Size;

            // Where the runs stand in memory their cost is known; a stream would have to be read twice for that.
            _allCost = layout.Runs is IReadOnlyCollection<PageRun> runs ? runs.Sum(Cost) : 0;
        }

        public ulong Pages { get; private set; }

        public ulong Chunks { get; private set; }

        public void Announce(PageRun run)
        {
            _announced += Math.Min(run.PageCount, ulong.MaxValue - _announced);
            if (_announced > _pageLimit)
            {
                throw new ImageException(
                    $"the enclave has more than 0x{_options.Limit:x} bytes of pages, as of the page at offset 0x{run.Offset:x} ({run.Name}); "
                        + "a higher limit lets it be measured");
            }
        }

        public void Add(PageRun run, ulong count)
        {
            Pages += count;
            Chunks += count * (ulong)BitOperations.PopCount(run.MeasuredChunks);
            _cost += Cost(run) / run.PageCount * count;
            if (_cost - _reported < Batch * PageCost)
            {
                return;
            }

            _reported = _cost;
            _options.Cancellation.ThrowIfCancellationRequested();
            _options.Progress?.Invoke(_allCost > 0 ? _cost / _allCost : (double)run.Offset / _size);
        }

        private static double Cost(PageRun run) =>
            run.PageCount * (PageCost + (BitOperations.PopCount(run.MeasuredChunks) * ChunkCost));
    }
}
