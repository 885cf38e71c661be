using System.Buffers.Binary;
using SoftSgx.Architecture;
using SoftSgx.Images.Tests.Writers;

namespace SoftSgx.Images.Tests.Formats;

/// <summary>Layouts of Intel SDK enclaves, against what psw/urts/loader.cpp does.</summary>
public sealed class SdkLayoutTests
{
    private const ulong Rx = 0x205;
    private const ulong Rw = 0x203;
    private const ulong Rwx = 0x207;

    private static (ulong Offset, ulong Pages, ulong Flags, bool Measured)[] Table(EnclaveImage image) =>
        [
            .. image.Layout!.Runs.Select(
                static run => (run.Offset, run.PageCount, (ulong)run.Flags, run.MeasuredChunks == PageRun.AllChunks))];

    [Fact]
    public void Segments_come_first_then_the_entries_in_order()
    {
        EnclaveImage image = ImageFiles.Read(SdkWriter.Elf(new SdkWriter().Usual(0x6000, 0).Block()));
        Assert.Equal(ImageKind.IntelSdkElf, image.Kind);
        Assert.Equal((0x100000UL, 1U), (image.Layout!.Size, image.Layout.SsaFrameSize));
        Assert.Equal(
            [
                (0x0, 2, Rx, true), (0x2000, 2, Rw, true), (0x4000, 2, Rw, true), (0x6000, 4, Rw, false), (0xb000, 2, Rw, true),
                (0xd000, 1, 0x100, true),
                (0xe000, 2, Rw, true), (0x10000, 1, Rw, true),
            ],
            Table(image));
        Assert.Equal([(0xa000UL, 1UL)], image.Reserved.Select(static range => (range.Offset, range.PageCount)));
    }

    [Fact]
    public void An_unaligned_segment_has_zeros_before_and_behind_its_bytes()
    {
        EnclaveImage image = ImageFiles.Read(SdkWriter.Elf(new SdkWriter().Usual(0x6000, 0).Block()));
        PageRun data = image.Layout!.Runs.ElementAt(1);
        byte[] expected = new byte[0x2000];
        SdkWriter.Pattern(0x900, 2).CopyTo(expected, 0x800);
        byte[] pages = [.. ImageFiles.Page(data, 0), .. ImageFiles.Page(data, 1)];
        Assert.Equal(expected, pages);
        Assert.True(image.Layout.Runs.ElementAt(2).Content.IsUniform);
    }

    [Fact]
    public void Patches_change_the_bytes_that_are_added()
    {
        byte[] file = SdkWriter.Elf(new SdkWriter().Usual(0x6000, 0).Block());
        ulong code = (ulong)file.AsSpan().IndexOf(SdkWriter.Pattern(0x1900, 1));
        EnclaveImage image = ImageFiles.Read(
            SdkWriter.Elf(new SdkWriter().Usual(0x6000, 0).Patch(code + 0xffe, [1, 2, 3, 4]).Patch(code + 0x1000, [9]).Block()));
        PageRun run = image.Layout!.Runs.First();
        Assert.Equal([1, 2], ImageFiles.Page(run, 0)[0xffe..]);
        Assert.Equal([9, 4], ImageFiles.Page(run, 1)[..2]);
        Assert.Equal(SdkWriter.Pattern(0x1900, 1)[0x1002..0x1900], ImageFiles.Page(run, 1)[2..0x900]);
    }

    [Fact]
    public void A_group_repeats_its_entries_a_step_further_each_time()
    {
        EnclaveImage image = ImageFiles.Read(SdkWriter.Elf(new SdkWriter().Usual(0x6000, 2).Block()));
        PageRun[] threads = [.. image.Layout!.Runs.Where(static run => run.PageType == PageType.PT_TCS)];
        Assert.Equal([0xd000UL, 0x14000UL, 0x1b000UL], threads.Select(static run => run.Offset));
        foreach (PageRun thread in threads)
        {
            byte[] page = ImageFiles.Page(thread, 0);
            Assert.Equal(thread.Offset + 0x1000, BinaryPrimitives.ReadUInt64LittleEndian(page.AsSpan(16)));
            Assert.Equal(0x1234UL, BinaryPrimitives.ReadUInt64LittleEndian(page.AsSpan(32)));
            Assert.Equal(thread.Offset + 0x4000, BinaryPrimitives.ReadUInt64LittleEndian(page.AsSpan(48)));
        }
    }

    [Fact]
    public void The_stack_is_filled_with_the_word_of_its_entry()
    {
        EnclaveImage image = ImageFiles.Read(SdkWriter.Elf(new SdkWriter().Usual(0x6000, 0).Block()));
        Assert.All(
            ImageFiles.Page(image.Layout!.Runs.Single(static run => run.Use == PageUse.Stack), 1), static b => Assert.Equal(0xCC, b));
    }

    [Fact]
    public void Pages_that_are_added_later_are_no_pages_of_the_layout()
    {
        const int PostAdd = 1 << 3;
        EnclaveImage image = ImageFiles.Read(SdkWriter.Elf(new SdkWriter().Usual(0x6000, 0).Entry(3, PostAdd, 16, 0x20000, Rw).Block()));
        Assert.DoesNotContain(image.Layout!.Runs, static run => run.Offset >= 0x20000);
        Assert.Contains(image.Reserved, static range => range is { Offset: 0x20000, PageCount: 16, Use: PageUse.Heap });
    }

    [Fact]
    public void Pages_with_text_relocations_are_added_writable()
    {
        byte[] block = new SdkWriter().Usual(0x6000, 0).Block();
        EnclaveImage image = ImageFiles.Read(SdkWriter.Elf([(22, 0), (7, 0x7000), (8, 72)], block));
        Assert.Equal([(0x0UL, 2UL, Rwx, true)], Table(image)[..1]);
        Assert.Contains(image.FormatWarnings, static warning => warning.Code == ReviewWarning.TextRelocations);
        Assert.Equal([(0x0UL, 2UL, Rx, true)], Table(ImageFiles.Read(SdkWriter.Elf([(7, 0x7000), (8, 72)], block)))[..1]);
    }

    [Fact]
    public void Version_1_3_adds_a_page_behind_a_segment_that_its_rounding_makes_longer()
    {
        // 0x2800 + 0x2900 ends in page 5; 0x2800 + 0x3000 would end in page 5, too: no page more. 0x2d00 as a start makes one.
        static byte[] File((uint, uint) version)
        {
            ElfWriter elf = new();
            elf.Load("RX", 0, SdkWriter.Pattern(0x1000, 1));
            elf.Load("RW", 0x2d00, SdkWriter.Pattern(0x100, 2), 0x280);
            elf.Section(".note.sgxmeta", 7, SdkWriter.Note(new SdkWriter { Version = version }.Usual(0x6000, 0).Block()));
            return elf.Build();
        }

        Assert.Equal(
            [(0x0UL, 1UL), (0x2000, 1), (0x3000, 1)],
            Table(ImageFiles.Read(File((1, 3)))).Take(3).Select(static run => (run.Offset, run.Pages)));
        Assert.Equal(
            [(0x0UL, 1UL), (0x2000, 1), (0x6000, 4)],
            Table(ImageFiles.Read(File((1, 4)))).Take(3).Select(static run => (run.Offset, run.Pages)));
    }

    [Fact]
    public void An_ELRANGE_moves_the_pages_and_sets_the_size()
    {
        EnclaveImage image = ImageFiles.Read(
            SdkWriter.Elf(new SdkWriter { Version = (13, 3), ElRange = (0x200000, 0, 0x400000) }.Usual(0x6000, 0).Block()));
        Assert.Equal(0x400000UL, image.Layout!.Size);
        Assert.Equal(0x200000UL, image.Layout.Runs.First().Offset);
    }

    [Fact]
    public void Of_several_blocks_the_loader_takes_the_highest_but_none_of_generation_2()
    {
        byte[] Block(uint major, uint minor) => new SdkWriter { Version = (major, minor) }.Usual(0x6000, 0).Block();
        EnclaveImage image = ImageFiles.Read(SdkWriter.Elf(Block(2, 4), Block(1, 4), Block(1, 5)));
        Assert.Equal(3, image.Variants.Count);
        Assert.Equal(2, image.ChosenVariant);
        Assert.Equal(image.Variants[2].SignatureOffset, image.SignatureOffset);
        Assert.Equal(1, ImageFiles.Read(SdkWriter.Elf(Block(1, 9), Block(3, 3), Block(4, 0))).ChosenVariant);
        Assert.Contains(
            ImageFiles.Read(SdkWriter.Elf(Block(2, 4))).Notes, static note => note.Contains("No metadata block", StringComparison.Ordinal));
    }

    [Fact]
    public void An_enclave_without_metadata_is_not_signed_yet()
    {
        EnclaveImage image = ImageFiles.Read(SdkWriter.Elf(new byte[6000]));
        Assert.Contains("not signed", image.Format, StringComparison.Ordinal);
        Assert.Null(image.Layout);
        Assert.Null(image.Signature);
    }

    [Fact]
    public void What_the_loader_refuses_is_refused_with_the_place()
    {
        static ImageException Refused(SdkWriter writer) =>
            Assert.Throws<ImageException>(() => ImageFiles.Read(SdkWriter.Elf(writer.Block())));
        Assert.Contains(
            "power of two", Refused(new SdkWriter { EnclaveSize = 0x30000 }.Usual(0x6000, 0)).Message, StringComparison.Ordinal);
        Assert.Contains("added twice", Refused(new SdkWriter().Usual(0x5000, 0)).Message, StringComparison.Ordinal);
        Assert.Contains("reaches beyond", Refused(new SdkWriter().Usual(0x6000, 1000)).Message, StringComparison.Ordinal);
        Assert.Contains("begin at a page", Refused(new SdkWriter().Usual(0x6100, 0)).Message, StringComparison.Ordinal);
        Assert.Contains("repeats", Refused(new SdkWriter().Usual(0x6000, 0).Group(9, 1, 0x1000)).Message, StringComparison.Ordinal);
        Assert.NotNull(Refused(new SdkWriter().Usual(0x6000, 0).Entry(1, 1, 1, 0x80000, 0x403)).Offset);
        Assert.Contains("group", Refused(new SdkWriter().Usual(0x6000, 1).Group(1, 1, 0x1000)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Repetitions_have_an_end()
    {
        // Four thousand million times nothing is nothing; of something it is refused before memory runs out.
        Assert.NotNull(
            ImageFiles.Read(
                SdkWriter.Elf(new SdkWriter().Usual(0x6000, 0).Entry(10, 0, 0, 0x20000, 0).Group(1, uint.MaxValue, 0).Block())).Layout);
        SdkWriter many = new SdkWriter { EnclaveSize = 1UL << 56 }.Usual(0x6000, 0).Entry(10, 0, 1, 0x20000, 0)
            .Group(1, uint.MaxValue, 0x1000);
        Assert.Contains(
            "more than", Assert.Throws<ImageException>(() => ImageFiles.Read(SdkWriter.Elf(many.Block()))).Message,
            StringComparison.Ordinal);
    }

    [Fact]
    public void A_32_bit_enclave_is_laid_out_alike()
    {
        byte[] block = new SdkWriter().Usual(0x6000, 1).Block();
        ElfWriter elf = new() { Is32 = true };
        elf.Load("RX", 0, SdkWriter.Pattern(0x1900, 1));
        elf.Load("RW", 0x2800, SdkWriter.Pattern(0x900, 2), 0x2900);

        // A relocation of 32 bits that reaches into the second page, in a table of entries of 8 bytes.
        elf.Section(".rel.dyn", 9, new ByteWriter().U32(0, 0xffe).U32(4, 1).ToArray(), 0x7000, 4, 8);
        byte[] entries = new ByteWriter().U32(0, 22).U32(8, 17).U32(12, 0x7000).U32(16, 18).U32(20, 8).U32(24, 0).U32(28, 0).ToArray();
        elf.Header(2, "RW", elf.Section(".dynamic", 6, entries, 0x8000, 4, 8), 0x8000, entries.Length);
        elf.Section(".note.sgxmeta", 7, SdkWriter.Note(block));
        EnclaveImage image = ImageFiles.Read(elf.Build());
        Assert.Equal("Intel SDK enclave (ELF, 32 bits)", image.Format);
        Assert.Equal([(0x0UL, 2UL, Rwx, true), (0x2000, 2, Rw, true)], Table(image)[..2]);
        Assert.Equal(Table(ImageFiles.Read(SdkWriter.Elf(block)))[1..], Table(image)[1..]);
    }
}
