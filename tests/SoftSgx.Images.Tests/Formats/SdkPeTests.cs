using System.Buffers.Binary;
using SoftSgx.Images.Tests.Writers;

namespace SoftSgx.Images.Tests.Formats;

/// <summary>Enclaves of the SDK for Windows. Signed files of others measure to what was signed: docs/images.md.</summary>
public sealed class SdkPeTests
{
    private static readonly byte[] s_file = new PeWriter().Build();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Image_heap_and_threads_follow_each_other(bool is64)
    {
        EnclaveImage image = ImageFiles.Read(new PeWriter { Is64 = is64 }.Build());
        Assert.Equal(ImageKind.IntelSdkPe, image.Kind);
        Assert.Equal(0x80000UL, image.Layout!.Size);
        Assert.Equal(
            [
                (0x0UL, 1UL, 0x201UL, true), (0x1000, 1, 0x205, true), (0x2000, 1, 0x207, true), (0x3000, 1, 0x203, true), (0x4000, 1, 0x203, true),
                (0x5000, 1, 0x201, true), (0x7000, 1, 0x201, true), (0x8000, 3, 0x203, false),
                (0x1B000, 1, 0x100, true), (0x1C000, 1, 0x203, true), (0x2D000, 2, 0x203, true), (0x3F000, 2, 0x203, true),
                (0x41000, 1, 0x100, true), (0x42000, 1, 0x203, true), (0x53000, 2, 0x203, true), (0x65000, 2, 0x203, true),
            ],
            image.Layout.Runs.Select(static run => (run.Offset, run.PageCount, (ulong)run.Flags, run.MeasuredChunks == PageRun.AllChunks)));
        Assert.Equal([0xB000UL, 0x1D000, 0x2F000, 0x43000, 0x55000], image.Reserved.Select(static range => range.Offset));
        Assert.All(image.Reserved, static range => Assert.Equal((16UL, PageUse.Guard), (range.PageCount, range.Use)));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Checksum_and_certificates_are_not_part_of_the_headers(bool is64)
    {
        byte[] file = new PeWriter { Is64 = is64 }.Build();
        byte[] expected = new byte[4096];
        file.AsSpan(0, PeWriter.HeadersSize).CopyTo(expected);
        expected.AsSpan(0x98 + 64, 4).Clear();
        expected.AsSpan(0x98 + (is64 ? 112 : 96) + 32, 8).Clear();
        Assert.Equal(expected, Page(file, 0));
    }

    [Fact]
    public void The_loader_tells_a_thread_its_layout_in_64_bits()
    {
        byte[] page = Page(s_file, 0x4000);
        byte[] template = SdkWriter.Pattern(0x80, 7);
        Assert.Equal(template[..8], page[..8]);
        // From the TCS: stack, twice; its limit; SSA; GPRSGX of the first frame; itself.
        Assert.Equal([0x26000UL, 0x26000, 0x24000, 0x12000, 0x12F48, 0x1000], Words(page, 8, 6));
        Assert.Equal(1, page[56]);
        Assert.Equal(template[57..64], page[57..64]);
        Assert.Equal([0x8000UL, 0x80000], Words(page, 64, 2)); // heap and enclave
        Assert.Equal(template[80..88], page[80..88]);
        Assert.Equal([0x1030UL, 0x3000_0000_0001], Words(page, 88, 2));
        Assert.Equal(template[104..], page[104..0x80]);
        Assert.All(page[0x80..], static value => Assert.Equal(0, value));
    }

    [Fact]
    public void The_loader_tells_a_thread_its_layout_in_32_bits()
    {
        byte[] page = Page(new PeWriter { Is64 = false }.Build(), 0x4000);
        byte[] template = SdkWriter.Pattern(0x80, 7);
        Assert.Equal([0x26000_FFFFFFFFUL, 0x24000_00026000, 0x12F48_00012000], Words(page, 0, 3));
        Assert.Equal((0x1000u, 1), (Word(page, 24), page[28]));
        Assert.Equal([0x80000_00008000UL], Words(page, 32, 1));
        Assert.Equal((0x1018u, 1u, 0x3000u), (Word(page, 44), Word(page, 48), Word(page, 56)));
        Assert.Equal(template[40..44], page[40..44]);
        Assert.Equal(template[52..56], page[52..56]);
        Assert.Equal(template[60..], page[60..0x80]);
    }

    [Fact]
    public void A_TCS_points_to_its_own_thread()
    {
        byte[] page = Page(s_file, 0x41000);
        Assert.Equal([0UL, 0, 0x53000, 2UL << 32, PeWriter.Entry, 0, 0x42000, 0x42000, 0xFFF_00000FFF], Words(page, 0, 9));
        Assert.All(page[72..], static value => Assert.Equal(0, value));
        Assert.All(Page(s_file, 0x65000), static value => Assert.Equal(0xCC, value));
    }

    [Fact]
    public void Bytes_behind_those_of_the_file_are_zero()
    {
        byte[] page = Page(s_file, 0x3000);
        Assert.Equal(SdkWriter.Pattern(0x300, 6), page[..0x300]);
        Assert.All(page[0x300..], static value => Assert.Equal(0, value));
    }

    [Fact]
    public void A_file_that_is_not_signed_has_no_layout()
    {
        EnclaveImage image = ImageFiles.Read(new PeWriter { IsSigned = false }.Build());
        Assert.Null(image.Layout);
        Assert.Contains("not signed", image.Format, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("sgxmeta", 0, 't', "no enclave")]
    [InlineData("enclave_entry", 0, 'E', "enclave_entry")]
    [InlineData(Magic, 16, 'U', "the metadata's size is 1877, not 1876")]
    [InlineData(Magic, 12, '\x02', "version 2.3")]
    [InlineData(Magic, 20, '\0', "tcs_num")]
    [InlineData(Magic, 28, '\x01', "ssa_num 1")]
    [InlineData(Magic, 32, '\x03', "ssa_frame_size 3")]
    public void What_is_no_enclave_says_why(string behind, int offset, char value, string why)
    {
        byte[] file = [.. s_file];
        file[file.AsSpan().IndexOf(behind.Select(static c => (byte)c).ToArray()) + offset] = (byte)value;
        Assert.Contains(why, Assert.Throws<ImageException>(() => ImageFiles.Read(file)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Signatures_are_found_where_they_stand()
    {
        EnclaveImage image = ImageFiles.Read(s_file);
        Assert.Equal(s_file.AsSpan().IndexOf(Magic.Select(static c => (byte)c).ToArray()) + 68, image.SignatureOffset);
        Assert.NotNull(image.Signature);
    }

    private const string Magic = "\x4c\x0e\x5d\x63\u0094\x02\u00a8\u0086";

    private static byte[] Page(byte[] file, ulong offset)
    {
        PageRun run = ImageFiles.Read(file).Layout!.Runs.Single(run => run.Offset <= offset && offset < run.End);
        return ImageFiles.Page(run, (offset - run.Offset) / 4096);
    }

    private static ulong[] Words(byte[] page, int at, int count) =>
        [.. Enumerable.Range(0, count).Select(i => BinaryPrimitives.ReadUInt64LittleEndian(page.AsSpan(at + (8 * i))))];

    private static uint Word(byte[] page, int at) => BinaryPrimitives.ReadUInt32LittleEndian(page.AsSpan(at));
}
