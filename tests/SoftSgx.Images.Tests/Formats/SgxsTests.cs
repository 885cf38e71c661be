using SoftSgx.Images.Tests.Writers;

namespace SoftSgx.Images.Tests.Formats;

public sealed class SgxsTests
{
    private static readonly byte[] s_one = SdkWriter.Pattern(4096, 1);
    private static readonly byte[] s_two = SdkWriter.Pattern(4096, 2);

    private static PageRun[] Runs(byte[] stream) => [.. ImageFiles.Read(stream).Layout!.Runs];

    private static string Refused(byte[] stream, out long? offset)
    {
        ImageException e = Assert.Throws<ImageException>(() => Runs(stream));
        offset = e.Offset;
        return e.Message;
    }

    [Fact]
    public void Neighbours_that_are_alike_are_one_run_and_keep_their_contents()
    {
        byte[] stream = new SgxsWriter(0x8000, 2).Page(0, 0x205, s_one).Page(0x1000, 0x205, s_two).Page(0x2000, 0x203, s_one)
            .Page(0x4000, 0x203, s_one).Build();
        EnclaveImage image = ImageFiles.Read(stream);
        Assert.Equal((0x8000UL, 2U), (image.Layout!.Size, image.Layout.SsaFrameSize));
        PageRun[] runs = Runs(stream);
        Assert.Equal([(0x0UL, 2UL), (0x2000, 1), (0x4000, 1)], runs.Select(static run => (run.Offset, run.PageCount)));
        Assert.Equal(s_one, ImageFiles.Page(runs[0], 0));
        Assert.Equal(s_two, ImageFiles.Page(runs[0], 1));
        Assert.Equal(runs.Length, image.Layout.Runs.Count());
    }

    [Fact]
    public void Chunks_are_measured_or_not_or_missing()
    {
        PageRun run = Assert.Single(Runs(new SgxsWriter(0x1000).Page(0, 0x203, s_one, 0x0003, 0x8000).Build()));
        Assert.Equal(0x0003, run.MeasuredChunks);
        byte[] page = ImageFiles.Page(run, 0);
        Assert.Equal(s_one[..512], page[..512]);
        Assert.All(page[512..3840], static b => Assert.Equal(0, b));
        Assert.Equal(s_one[3840..], page[3840..]);
    }

    [Fact]
    public void The_stream_of_a_layout_hashes_to_its_measurement()
    {
        byte[] stream = new SgxsWriter(0x4000).Page(0, 0x205, s_one).Page(0x1000, 0x203, s_two, 0x00ff).Page(0x2000, 0x203, [], 0).Build();
        string hash = Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(stream));
        Assert.Equal(hash, MeasurementOracle.Measure(ImageFiles.Read(stream).Layout!).ToString());
    }

    [Fact]
    public void A_stream_without_a_size_has_no_layout()
    {
        EnclaveImage image = ImageFiles.Read(new SgxsWriter(0x20, isSized: false).Page(0, 0x203, s_one).Build());
        Assert.Equal(ImageKind.Sgxs, image.Kind);
        Assert.Null(image.Layout);
    }

    [Fact]
    public void What_is_not_canonical_is_refused_at_its_place()
    {
        Assert.Contains(
            "canonical", Refused(new SgxsWriter(0x4000).Page(0x1000, 0x203, [], 0).Page(0, 0x203, [], 0).Build(), out long? offset),
            StringComparison.Ordinal);
        Assert.Equal(136, offset);
        Assert.Contains(
            "none of the page", Refused(new SgxsWriter(0x4000).Chunk(0, true, s_one.AsSpan(0, 256)).Build(), out _),
            StringComparison.Ordinal);
        Assert.Contains(
            "does not follow", Refused(new SgxsWriter(0x4000).Page(0, 0x203, s_one, 2).Chunk(0, true, s_one.AsSpan(0, 256)).Build(), out _),
            StringComparison.Ordinal);
        Assert.Contains(
            "beyond the enclave", Refused(new SgxsWriter(0x4000).Page(0x4000, 0x203, [], 0).Build(), out _), StringComparison.Ordinal);
        Assert.Contains(
            "beyond the end", Refused(new SgxsWriter(0x4000).Page(0, 0x203, s_one).Build()[..^1], out _), StringComparison.Ordinal);
        Assert.Contains("no record", Refused([.. new SgxsWriter(0x4000).Build(), .. new byte[64]], out _), StringComparison.Ordinal);
    }
}
