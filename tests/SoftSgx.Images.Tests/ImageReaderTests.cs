using SoftSgx.Images.Tests.Writers;

namespace SoftSgx.Images.Tests;

public sealed class ImageReaderTests : IDisposable
{
    private readonly string _path = Path.GetTempFileName();

    public void Dispose() => File.Delete(_path);

    [Fact]
    public void An_empty_file_is_no_enclave() => Assert.Throws<ImageException>(() => ImageReader.Read(_path));

    [Fact]
    public void A_file_is_told_by_its_contents_or_read_as_what_the_user_says()
    {
        File.WriteAllBytes(_path, SdkWriter.Elf(new SdkWriter().Usual(0x6000, 0).Block()));
        Assert.Equal(ImageKind.IntelSdkElf, ImageReader.Read(_path).Kind);
        Assert.Contains(
            ".oeinfo", Assert.Throws<ImageException>(() => ImageReader.Read(_path, ImageKind.OpenEnclave)).Message,
            StringComparison.Ordinal);
        Assert.Throws<ImageException>(() => ImageReader.Read(_path, ImageKind.Sgxs));
    }

    [Fact]
    public void A_layout_can_be_read_after_the_file_is_gone()
    {
        File.WriteAllBytes(_path, new SgxsWriter(0x1000).Page(0, 0x203, SdkWriter.Pattern(4096, 1)).Build());
        EnclaveImage image = ImageReader.Read(_path);
        File.Delete(_path);
        Assert.Equal(SdkWriter.Pattern(4096, 1), ImageFiles.Page(Assert.Single(image.Layout!.Runs), 0));
    }

    /// <summary>Sparse files: no more is read than their first bytes.</summary>
    [Fact]
    public void Files_that_are_too_long_are_refused_before_they_are_read()
    {
        foreach ((byte[] start, long length) in new (byte[], long)[] { ([1, 2, 3, 4], ImageReader.LongestOther + 1), ([0x7f, 0x45, 0x4c, 0x46], ImageReader.LongestImage + 1) })
        {
            using (FileStream file = new(_path, FileMode.Create))
            {
                file.Write(start);
                file.SetLength(length);
            }

            long before = GC.GetAllocatedBytesForCurrentThread();
            Assert.Throws<ImageException>(() => ImageReader.Read(_path));
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 1 << 20);
        }
    }
}
