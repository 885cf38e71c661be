using SoftSgx.Architecture;
using SoftSgx.Images.Tests.Writers;

namespace SoftSgx.Images.Tests.Formats;

/// <summary>Layouts of the kernel's test enclaves, against tools/testing/selftests/sgx/load.c.</summary>
public sealed class SelftestReaderTests
{
    internal static byte[] Enclave()
    {
        ElfWriter elf = new();
        int tcs = elf.Load("RW", 0, SdkWriter.Pattern(0x2000, 1));
        elf.Load("RX", 0x2000, SdkWriter.Pattern(0x1120, 2));
        elf.Load("RW", 0x4000, SdkWriter.Pattern(0x3000, 3));
        elf.SectionAt(".tcs", 1, tcs, 0x2000, 0, 4096);
        return elf.Build();
    }

    [Fact]
    public void TCS_pages_segments_and_a_heap_that_is_not_measured()
    {
        EnclaveImage image = ImageFiles.Read(Enclave());
        Assert.Equal(ImageKind.KernelSelftest, image.Kind);
        Assert.Equal((0x8000UL, 1U), (image.Layout!.Size, image.Layout.SsaFrameSize));
        Assert.Equal(
            [
                (0x0UL, 2UL, 0x100UL, PageRun.AllChunks), (0x2000, 2, 0x205, PageRun.AllChunks), (0x4000, 3, 0x203, PageRun.AllChunks),
                (0x7000, 1, 0x203, 0)],
            image.Layout.Runs.Select(static run => (run.Offset, run.PageCount, (ulong)run.Flags, run.MeasuredChunks)));
    }

    [Fact]
    public void Pages_are_the_pages_of_the_file()
    {
        PageRun code = ImageFiles.Read(Enclave()).Layout!.Runs.ElementAt(1);
        Assert.Equal(SdkWriter.Pattern(0x1120, 2)[0x1000..], ImageFiles.Page(code, 1)[..0x120]);
    }

    [Fact]
    public void The_first_segment_must_be_one_of_TCS_pages()
    {
        ElfWriter elf = new();
        int code = elf.Load("RX", 0, SdkWriter.Pattern(0x2000, 1));
        elf.SectionAt(".tcs", 1, code, 0x2000, 0);
        Assert.Contains("not RW", Assert.Throws<ImageException>(() => ImageFiles.Read(elf.Build())).Message, StringComparison.Ordinal);
    }

    /// <summary>The flags of a TCS page in SECINFO: the type alone.</summary>
    [Fact]
    public void TCS_pages_have_no_permissions() =>
        Assert.Equal(SecInfoFlags.None, ImageFiles.Read(Enclave()).Layout!.Runs.First().Permissions);
}
