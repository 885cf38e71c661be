using SoftSgx.Architecture;
using SoftSgx.Tests;

namespace SoftSgx.Images.Tests;

/// <summary>MRENCLAVE of layouts, against the manual's records; what is no enclave; and the memory it takes.</summary>
public sealed class EnclaveMeasurerTests
{
    private static readonly SecInfoFlags s_data = SecInfo.For(PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.W).Flags;

    public static TheoryData<int> Seeds => [.. Enumerable.Range(1, 40)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void The_measurement_is_the_hash_of_the_documented_records(int seed)
    {
        EnclaveLayout layout = RandomLayout.Create(new Random(seed));

        EnclaveMeasurement measured = EnclaveMeasurer.Measure(layout);

        Assert.Equal(MeasurementOracle.Measure(layout), measured.MrEnclave);
        Assert.Equal((ulong)layout.Runs.Sum(static run => (long)run.PageCount), measured.Pages);
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void A_trace_changes_nothing_and_tells_every_operation(int seed)
    {
        EnclaveLayout layout = RandomLayout.Create(new Random(seed));
        EnclaveMeasurement silent = EnclaveMeasurer.Measure(layout);
        Operations operations = new();

        Assert.Equal(silent, EnclaveMeasurer.Measure(layout, new MeasureOptions { Trace = operations }));
        Assert.Equal(1 + silent.Pages + silent.Chunks, (ulong)operations.Lines.Count);
    }

    [Fact]
    public void A_tcs_is_told_as_it_is_measured()
    {
        byte[] tcs = new byte[4096];
        tcs[0] = 1;     // STATE
        tcs[8] = 3;     // FLAGS: DBGOPTIN, AEXNOTIFY
        byte[] kept = new byte[4096];
        kept[8] = 2;
        SecInfoFlags flags = SecInfo.For(PageType.PT_TCS, SecInfoFlags.RWX).Flags;

        List<string> given = Operations.Of(new EnclaveLayout(8192, 1, [new PageRun(0, 1, flags, 1, PageContent.Repeat(tcs), "TCS")]));
        List<string> cleared = Operations.Of(
            new EnclaveLayout(8192, 1, [new PageRun(0, 1, flags & ~SecInfoFlags.RWX, 1, PageContent.Repeat(kept), "TCS")]));

        Assert.Equal(cleared, given);
    }

    [Theory]
    [InlineData(0UL, 1u, "less than two pages")]
    [InlineData(4096UL, 1u, "less than two pages")]
    [InlineData(12288UL, 1u, "not a power of two")]
    [InlineData(ulong.MaxValue, 1u, "not a power of two")]
    [InlineData(1UL << 63, 1u, "more than any processor addresses")]
    [InlineData(8192UL, 0u, "SSA frame of no pages")]
    public void An_enclave_that_cannot_be_created_says_why(ulong size, uint ssaFrameSize, string why)
    {
        ImageException e = Assert.Throws<ImageException>(() => EnclaveMeasurer.Measure(new EnclaveLayout(size, ssaFrameSize, [])));

        Assert.Contains(why, e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("type", 0UL, "a page of type 3")]
    [InlineData("write only", 0UL, "writable and not readable")]
    [InlineData("reserved", 0UL, "reserved bits")]
    [InlineData("tcs", 0UL, "reserved field of the TCS")]
    [InlineData("data", 0x10UL, "not aligned")]
    [InlineData("data", 0x10_0000UL, "outside the enclave")]
    [InlineData("data", 0xFFFF_FFFF_FFFF_F000UL, "outside the enclave")]
    public void A_page_that_cannot_be_added_says_why_and_where(string what, ulong offset, string why)
    {
        byte[] contents = new byte[4096];
        contents[4000] = 1;
        SecInfoFlags flags = what switch
        {
            "type" => SecInfo.For(PageType.PT_VA, SecInfoFlags.R).Flags,
            "write only" => SecInfo.For(PageType.PT_REG, SecInfoFlags.W).Flags,
            "reserved" => s_data | (SecInfoFlags)(1UL << 20),
            "tcs" => SecInfo.For(PageType.PT_TCS, SecInfoFlags.None).Flags,
            _ => s_data,
        };
        EnclaveLayout layout = new(0x10_0000, 1, [new PageRun(offset, 1, flags, 0, PageContent.Repeat(contents), "page")]);
        MeasureOptions traced = new() { Trace = new Operations() };

        string message = Assert.Throws<ImageException>(() => EnclaveMeasurer.Measure(layout)).Message;

        Assert.Contains(why, message, StringComparison.Ordinal);
        Assert.Contains($"offset 0x{offset:x} ", message, StringComparison.Ordinal);
        Assert.Equal(message, Assert.Throws<ImageException>(() => EnclaveMeasurer.Measure(layout, traced)).Message);
    }

    [Fact]
    public void The_page_that_leaves_the_enclave_is_the_one_that_is_named()
    {
        EnclaveLayout layout = new(0x10_0000, 1, [new PageRun(0xF_E000, 5, s_data, 0, PageContent.Zero, "heap")]);

        ImageException e = Assert.Throws<ImageException>(() => EnclaveMeasurer.Measure(layout));

        Assert.Contains("offset 0x100000 of the enclave (heap)", e.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(ulong.MaxValue)]
    [InlineData(1UL << 52)]
    [InlineData((1UL << 28) + 1)]
    public void An_enclave_beyond_the_limit_is_refused_at_once(ulong pages)
    {
        EnclaveLayout layout = new(1UL << 56, 1, [new PageRun(0, pages, s_data, 0, PageContent.Zero, "heap")]);

        ImageException e = Assert.Throws<ImageException>(() => EnclaveMeasurer.Measure(layout));

        Assert.Contains("more than 0x10000000000 bytes of pages", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Runs_add_up_to_the_limit()
    {
        PageRun run = new(0, 3, s_data, 0, PageContent.Zero, "heap");
        EnclaveLayout layout = new(0x10_0000, 1, [run, run with { Offset = 0x4000 }]);

        Assert.Equal(6UL, EnclaveMeasurer.Measure(layout, new MeasureOptions { Limit = 6 * 4096 }).Pages);
        Assert.Throws<ImageException>(() => EnclaveMeasurer.Measure(layout, new MeasureOptions { Limit = 5 * 4096 }));
    }

    [Fact]
    public void A_large_enclave_takes_no_more_memory_than_a_small_one()
    {
        long small = AllocatedFor(pages: 4096);

        Assert.InRange(AllocatedFor(pages: 1 << 20), 0, small + 4096);
    }

    [Fact]
    public void Progress_goes_up_to_the_end()
    {
        List<double> seen = [];
        EnclaveLayout layout = new(1UL << 34, 1, [new PageRun(0, 1 << 20, s_data, 0, PageContent.Zero, "heap")]);

        EnclaveMeasurer.Measure(layout, new MeasureOptions { Progress = seen.Add });

        Assert.Equal(seen.Order(), seen);
        Assert.Equal(1.0, seen[^1], precision: 6);
        Assert.InRange(seen.Count, 4, 1000);
    }

    [Fact]
    public void Measuring_can_be_ended_early()
    {
        using CancellationTokenSource cancellation = new();
        EnclaveLayout layout = new(1UL << 34, 1, [new PageRun(0, 1 << 20, s_data, 0, PageContent.Zero, "heap")]);
        MeasureOptions options = new() { Progress = _ => cancellation.Cancel(), Cancellation = cancellation.Token };

        Assert.Throws<OperationCanceledException>(() => EnclaveMeasurer.Measure(layout, options));
    }

    private static long AllocatedFor(ulong pages)
    {
        EnclaveLayout layout = new(1UL << 40, 1, [new PageRun(0, pages, s_data, 0, PageContent.Zero, "heap")]);
        EnclaveMeasurer.Measure(layout);
        return Allocations.Of(() => EnclaveMeasurer.Measure(layout));
    }
}
