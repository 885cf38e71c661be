using System.Buffers.Binary;
using SoftSgx.Architecture;
using SoftSgx.Images.Tests.Writers;

namespace SoftSgx.Images.Tests.Formats;

/// <summary>Layouts of Open Enclave images, against host/sgx/create.c and loadelf.c of its releases.</summary>
public sealed class OpenEnclaveTests
{
    private const ulong Rw = 0x203;

    private static IEnumerable<(ulong Offset, ulong Pages, ulong Flags, bool Measured)> Table(EnclaveLayout layout) =>
        layout.Runs.Select(static run => (run.Offset, run.PageCount, (ulong)run.Flags, run.MeasuredChunks == PageRun.AllChunks));

    private static ulong U64(ReadOnlySpan<byte> bytes, int at) => BinaryPrimitives.ReadUInt64LittleEndian(bytes[at..]);

    [Fact]
    public void Image_relocations_heap_and_threads_follow_each_other()
    {
        // .tdata of 0x30 bytes and .tbss of 0x1000 need two pages.
        EnclaveImage image = ImageFiles.Read(new OpenEnclaveWriter().Build());
        Assert.Equal(ImageKind.OpenEnclave, image.Kind);
        Assert.Equal((0x20000UL, 1U), (image.Layout!.Size, image.Layout.SsaFrameSize));
        Assert.Equal(
            [
                (0x0, 2, 0x205, true), (0x3000, 2, Rw, true), (0x5000, 1, 0x201, true), (0x6000, 3, Rw, false),
                (0xa000, 2, Rw, true), (0xd000, 1, 0x100, true), (0xe000, 2, Rw, true), (0x11000, 2, Rw, true), (0x13000, 1, Rw, true),
                (0x15000, 2, Rw, true), (0x18000, 1, 0x100, true), (0x19000, 2, Rw, true), (0x1c000, 2, Rw, true), (0x1e000, 1, Rw, true),
            ],
            Table(image.Layout));
    }

    [Fact]
    public void A_TCS_points_to_its_frames_and_to_the_page_of_its_thread()
    {
        EnclaveImage image = ImageFiles.Read(new OpenEnclaveWriter().Build());
        PageRun thread = image.Layout!.Runs.First(static run => run.PageType == PageType.PT_TCS);
        byte[] page = ImageFiles.Page(thread, 0);
        Assert.Equal(thread.Offset + 0x1000, U64(page, 16));
        Assert.Equal(2u, BinaryPrimitives.ReadUInt32LittleEndian(page.AsSpan(28)));
        Assert.Equal(0x40UL, U64(page, 32));
        Assert.Equal(thread.Offset + 0x6000, U64(page, 48));
        Assert.Equal(thread.Offset + 0x6000, U64(page, 56));
    }

    [Fact]
    public void The_loader_tells_the_enclave_its_addresses_and_takes_the_signature_out()
    {
        byte[] file = new OpenEnclaveWriter().Build();
        EnclaveImage image = ImageFiles.Read(file);
        byte[] info = ImageFiles.Page(image.Layout!.Runs.First(), 1)[0x100..];
        Assert.Equal([0x1100UL, 1960, 0x5000, 0x1000, 0x6000, 0x20000], Enumerable.Range(0, 6).Select(i => U64(info, 96 + (i * 8))));
        Assert.All(info[144..1952], static b => Assert.Equal(0, b));
        byte[] variables = ImageFiles.Page(image.Layout.Runs.ElementAt(1), 0)[0x100..];
        Assert.Equal([0x3100UL, 0x5000, 0x1000, 0x6000, 0x3100], Enumerable.Range(0, 5).Select(i => U64(variables, i * 8)));
        Assert.NotNull(image.Signature);
        Assert.Equal(SigStruct.HeaderConstant, file.AsSpan((int)image.SignatureOffset, 16));
    }

    [Fact]
    public void Relocations_are_those_of_both_tables_with_thread_local_offsets_filled_in()
    {
        EnclaveImage image = ImageFiles.Read(new OpenEnclaveWriter().Build());
        byte[] page = ImageFiles.Page(image.Layout!.Runs.Single(static run => run.Use == PageUse.Relocations), 0);
        Assert.Equal(0x3108UL, U64(page, 40));
        Assert.Equal(0x3300UL, U64(page, 48));
        Assert.All(page[72..], static b => Assert.Equal(0, b));
    }

    [Fact]
    public void A_zero_based_enclave_begins_at_its_start_address()
    {
        EnclaveImage image = ImageFiles.Read(new OpenEnclaveWriter { Flags = 2, StartAddress = 0x20000 }.Build());
        Assert.Equal(0x40000UL, image.Layout!.Size);
        Assert.Equal(0x20000UL, image.Layout.Runs.First().Offset);
        byte[] page = ImageFiles.Page(image.Layout.Runs.First(static run => run.PageType == PageType.PT_TCS), 0);
        Assert.Equal((0x2e000UL, 0x20040UL), (U64(page, 16), U64(page, 32)));
    }

    [Fact]
    public void Old_releases_have_two_pages_of_thread_data_and_clear_the_ELF_header()
    {
        EnclaveImage image = ImageFiles.Read(
            new OpenEnclaveWriter { Configuration = 24, Symbols = ["_enclave_rva", "_reloc_rva", "_reloc_size"] }.Build());
        Assert.Equal(["Open Enclave 0.8 to 0.10", "Open Enclave 0.6 and 0.7"], image.Variants.Select(static variant => variant.Name));
        byte[] recent = ImageFiles.Page(image.Layout!.Runs.First(static run => run.PageType == PageType.PT_TCS), 0);
        byte[] oldest = ImageFiles.Page(image.Variants[1].Layout!.Runs.First(static run => run.PageType == PageType.PT_TCS), 0);
        Assert.Equal(U64(recent, 48), U64(recent, 56));
        Assert.Equal(U64(oldest, 48) - 0x1000, U64(oldest, 56));

        // The enclave is told the end of its pages: image, relocations, heap, and two threads of ten pages.
        byte[] info = ImageFiles.Page(image.Layout.Runs.First(), 1)[0x100..];
        Assert.Equal(0x5000UL + 0x1000 + 0x3000 + (2 * 0xa000), U64(info, 32 + 24 + 40));
    }

    [Fact]
    public void More_pages_than_an_enclave_can_have_are_refused()
    {
        foreach (OpenEnclaveWriter writer in new OpenEnclaveWriter[]
        {
            new() { HeapPages = ulong.MaxValue }, new() { StackPages = ulong.MaxValue / 2 }, new() { Threads = 1UL << 60 },
            new() { HeapPages = 1UL << 45 },
        })
        {
            Assert.NotNull(Assert.Throws<ImageException>(() => ImageFiles.Read(writer.Build())).Offset);
        }

        Assert.Contains(
            "runs of pages",
            Assert.Throws<ImageException>(() => ImageFiles.Read(new OpenEnclaveWriter { Threads = 100_000 }.Build())).Message,
            StringComparison.Ordinal);
    }
}
