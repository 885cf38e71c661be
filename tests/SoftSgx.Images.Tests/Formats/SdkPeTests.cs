using SoftSgx.Images.Tests.Writers;

namespace SoftSgx.Images.Tests.Formats;

public sealed class SdkPeTests
{
    private static readonly byte[] s_file = PeWriter.Enclave(new SdkWriter().Usual(0x6000, 1).Block());

    [Fact]
    public void The_headers_and_all_sections_but_the_metadata_are_pages()
    {
        EnclaveImage image = ImageFiles.Read(s_file);
        Assert.Equal(ImageKind.IntelSdkPe, image.Kind);
        Assert.Equal(
            [(0x0UL, 1UL, 0x201UL), (0x1000, 1, 0x207), (0x2000, 1, 0x205), (0x3000, 1, 0x203), (0x4000, 1, 0x201), (0x6000, 4, 0x203)],
            image.Layout!.Runs.Take(6).Select(static run => (run.Offset, run.PageCount, (ulong)run.Flags)));
    }

    [Fact]
    public void Checksum_and_certificates_are_not_part_of_the_headers()
    {
        byte[] page = ImageFiles.Page(ImageFiles.Read(s_file).Layout!.Runs.First(), 0);
        byte[] expected = new byte[4096];
        s_file.AsSpan(0, PeWriter.HeadersSize).CopyTo(expected);
        expected.AsSpan(0x98 + 64, 4).Clear();
        expected.AsSpan(0x98 + 112 + 32, 8).Clear();
        Assert.Equal(expected, page);
    }

    [Fact]
    public void A_PE_file_without_metadata_is_no_enclave()
    {
        byte[] file = [.. s_file];
        file[file.AsSpan().IndexOf("sgxmeta"u8)] = (byte)'t';
        Assert.Contains("no enclave", Assert.Throws<ImageException>(() => ImageFiles.Read(file)).Message, StringComparison.Ordinal);
    }
}
