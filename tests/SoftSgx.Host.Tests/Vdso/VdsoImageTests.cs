using SoftSgx.Host.Vdso;

namespace SoftSgx.Host.Tests.Vdso;

public class VdsoImageTests
{
    private const int Func = 2;

    private static readonly TestElf s_real = new(OwnVdso.Bytes);
    private static readonly VdsoImage s_image = VdsoImage.Build(OwnVdso.Bytes);
    private static readonly TestElf s_elf = new(s_image.Relocate(OwnVdso.Base));

    private static IEnumerable<TestElf.Symbol> RealFunctions =>
        s_real.DynamicSymbols().Where(s => s.Type == Func && s.SectionIndex != 0);

    [Fact]
    public void Every_function_of_the_kernel_is_found_by_both_hash_tables()
    {
        Assert.NotEmpty(RealFunctions);
        foreach (TestElf.Symbol real in RealFunctions)
        {
            foreach (TestElf.Symbol? found in new[] { s_elf.FindByHash(real.Name), s_elf.FindByGnuHash(real.Name) })
            {
                Assert.NotNull(found);
                Assert.Equal((real.Type, real.Binding, real.Version), (found.Type, found.Binding, found.Version));
            }
        }
        Assert.Null(s_elf.FindByHash("no_such_function"));
        Assert.Null(s_elf.FindByGnuHash("no_such_function"));
    }

    [Fact]
    public void The_section_headers_show_the_same_symbols()
    {
        List<TestElf.Symbol> bySection = s_elf.SectionSymbols();

        Assert.Equal(s_elf.DynamicSymbols().Select(s => s with { Version = null }), bySection);
        Assert.Equal(
            RealFunctions.Select(s => s.Name).Append("__vdso_sgx_enter_enclave").Distinct().Order(),
            bySection.Where(s => s.Type == Func).Select(s => s.Name).Order());
    }

    [Fact]
    public void Symbols_lie_in_the_executable_section_that_they_name()
    {
        List<TestElf.Section> sections = s_elf.Sections();
        foreach (TestElf.Symbol function in s_elf.DynamicSymbols().Where(s => s.Type == Func))
        {
            TestElf.Section text = sections[function.SectionIndex];
            Assert.Equal(".text", text.Name);
            Assert.InRange(function.Value, text.Address, text.Address + text.Size - function.Size);
        }
    }

    [Fact]
    public void Each_stub_jumps_to_its_function()
    {
        foreach (TestElf.Symbol real in RealFunctions.Where(r => r.Name != VdsoImage.EnterEnclaveName))
        {
            ulong stub = s_elf.FindByHash(real.Name)!.Value;
            Assert.Equal(0x25ff, s_elf.U16(stub));
            ulong slot = stub + 6 + s_elf.U32(stub + 2);
            Assert.Equal(OwnVdso.Base + real.Value, s_elf.U64(slot));
        }
    }

    [Fact]
    public void Versions_are_the_kernels_with_valid_hashes()
    {
        Assert.Equal(s_real.Versions(), s_elf.Versions());
        Assert.Equal(("LINUX_2.6", 0x3ae75f6u, 0), s_elf.Versions()[2]);
        Assert.Equal("LINUX_2.6", s_elf.FindByHash("__vdso_sgx_enter_enclave")!.Version);
        TestElf.Symbol version = s_elf.FindByHash("LINUX_2.6")!;
        Assert.Equal((1, 0xfff1, 0ul), (version.Type, version.SectionIndex, version.Value));
    }

    [Fact]
    public void Every_section_and_segment_is_inside_the_image_with_offset_equal_to_address()
    {
        ulong size = (ulong)s_image.Size;
        Assert.Equal(0ul, size % 4096);
        Assert.Equal(size, (ulong)s_image.Relocate(0).Length);
        Assert.True(s_elf.U64(40) + ((ulong)s_elf.U16(60) * 64) <= size);
        foreach (TestElf.Section section in s_elf.Sections())
        {
            Assert.Equal(section.Offset, section.Address);
            Assert.InRange(section.Offset + section.Size, 0ul, size);
        }
        TestElf.Segment load = Assert.Single(s_elf.Segments(), s => s.Type == 1);
        Assert.Equal(new TestElf.Segment(1, 5, 0, 0, size, size), load);
        foreach (TestElf.Segment segment in s_elf.Segments())
        {
            Assert.Equal(segment.Offset, segment.Address);
            Assert.InRange(segment.Offset + segment.FileSize, 0ul, size);
        }
        // The dynamic linker would write to a writable one.
        Assert.Equal(4u, s_elf.Segments().Single(s => s.Type == 2).Flags);
        foreach (string name in new[]
        {
            ".dynsym", ".dynstr", ".hash", ".gnu.hash", ".dynamic", ".text", ".eh_frame", ".eh_frame_hdr", ".shstrtab",
            ".gnu.version", ".gnu.version_d",
        })
        {
            Assert.Single(s_elf.Sections(), s => s.Name == name);
        }
    }

    [Fact]
    public void Sections_do_not_overlap()
    {
        TestElf.Section[] inOrder = [.. s_elf.Sections().Skip(1).OrderBy(s => s.Offset)];
        for (int i = 1; i < inOrder.Length; i++)
        {
            Assert.True(inOrder[i - 1].Offset + inOrder[i - 1].Size <= inOrder[i].Offset, inOrder[i].Name);
        }
    }

    [Fact]
    public void The_kernels_version_note_is_kept()
    {
        TestElf.Segment note = s_elf.Segments().Single(s => s.Type == 4);
        Assert.Equal("Linux", s_elf.Text(note.Offset + 12));
        TestElf.Segment real = s_real.Segments().Single(s => s.Type == 4);
        Assert.Equal(s_real.U32(real.Offset + 20), s_elf.U32(note.Offset + 20));
    }

    [Fact]
    public void Offsets_point_at_what_they_name()
    {
        byte[] image = s_image.Relocate(0);
        ReadOnlySpan<byte> At(int offset) => image.AsSpan(offset);

        Assert.Equal((ulong)s_image.EnterEnclaveOffset, s_elf.FindByHash(VdsoImage.EnterEnclaveName)!.Value);
        Assert.Equal(0, s_image.AepOffset % 8); // what the monitor writes there lies in eight aligned bytes
        Assert.True(At(s_image.AepOffset).StartsWith((ReadOnlySpan<byte>)[0x0f, 0x1f, 0x44, 0x00, 0x00])); // nop
        Assert.True(At(s_image.TrapOffset).StartsWith((ReadOnlySpan<byte>)[0x48, 0x89, 0x44, 0x24, 0xf8])); // mov [rsp-8], rax
        Assert.True(At(s_image.TrapReturnOffset - 2).StartsWith((ReadOnlySpan<byte>)[0x0f, 0x05]));
        Assert.True(At(s_image.SyscallGadgetOffset).StartsWith((ReadOnlySpan<byte>)[0x0f, 0x05, 0x0f, 0x0b]));
        Assert.InRange(s_image.ExceptionOffset, s_image.TrapReturnOffset, s_image.EnterEnclaveEnd - 1);
        int magic = At(s_image.AepOffset).IndexOf(BitConverter.GetBytes(VdsoImage.TrapMagic));
        Assert.InRange(s_image.AepOffset + magic, s_image.AepOffset, s_image.TrapReturnOffset - 10);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(4096)]
    [InlineData(100_000)]
    public void The_data_area_is_zero_aligned_and_inside(int size)
    {
        VdsoImage image = VdsoImage.Build(OwnVdso.Bytes, size);
        Assert.Equal(size, image.DataSize);
        Assert.Equal(0, image.DataOffset % 16);
        Assert.True(image.DataOffset + size <= image.Size);
        Assert.True(image.Bytes.Span.Slice(image.DataOffset, size).IndexOfAnyExcept((byte)0) < 0);
        TestElf elf = new(image.Relocate(0));
        Assert.NotNull(elf.FindByHash(VdsoImage.EnterEnclaveName));
        Assert.Contains(elf.SectionSymbols(), s => s.Name == VdsoImage.EnterEnclaveName);
    }

    [Fact]
    public void A_kernel_without_a_vdso_gets_an_image_with_our_function_alone()
    {
        TestElf elf = new(VdsoImage.Build([]).Relocate(0));
        TestElf.Symbol symbol = Assert.Single(elf.DynamicSymbols());
        Assert.Equal((VdsoImage.EnterEnclaveName, "LINUX_2.6"), (symbol.Name, symbol.Version));
        Assert.Equal(symbol, elf.FindByHash(symbol.Name));
        Assert.Equal(symbol, elf.FindByGnuHash(symbol.Name));
    }

    [Fact]
    public void An_image_can_be_replaced_in_turn_without_a_second_enter_enclave()
    {
        VdsoImage again = VdsoImage.Build(s_image.Relocate(OwnVdso.Base));
        TestElf elf = new(again.Relocate(0x10000));
        Assert.Equal(s_elf.DynamicSymbols().Select(s => s.Name).Order(), elf.DynamicSymbols().Select(s => s.Name).Order());
        Assert.Equal((ulong)again.EnterEnclaveOffset, elf.FindByHash(VdsoImage.EnterEnclaveName)!.Value);
    }

    [Fact]
    public void Relocating_touches_only_the_slots()
    {
        TestElf.Section slots = s_elf.Sections().Single(s => s.Name == ".got");
        byte[] one = s_image.Relocate(0x7f0000000000);
        byte[] other = s_image.Relocate(0x7fff12345000);
        for (int i = 0; i < one.Length; i++)
        {
            bool inSlots = (ulong)i >= slots.Offset && (ulong)i < slots.Offset + slots.Size;
            Assert.True(inSlots || one[i] == other[i]);
        }
    }

    [Fact]
    public void Building_is_deterministic() =>
        Assert.Equal(s_image.Bytes.ToArray(), VdsoImage.Build(OwnVdso.Bytes).Bytes.ToArray());

    [Fact]
    public void Every_truncation_is_refused_or_understood()
    {
        for (int length = 1; length < OwnVdso.Bytes.Length; length += length < 2048 ? 1 : 61)
        {
            BuildHostile(OwnVdso.Bytes[..length]);
        }
        Assert.Throws<InvalidDataException>(() => VdsoImage.Build(OwnVdso.Bytes.AsSpan(0, 63)));
    }

    [Fact]
    public void Every_changed_byte_is_refused_or_understood()
    {
        byte[] image = (byte[])OwnVdso.Bytes.Clone();
        foreach (byte value in new byte[] { 0x00, 0x01, 0x7f, 0x80, 0xff })
        {
            for (int i = 0; i < 2048; i++)
            {
                (byte original, image[i]) = (image[i], value);
                BuildHostile(image);
                image[i] = original;
            }
        }
    }

    [Fact]
    public void Garbage_is_refused()
    {
        Random random = new(1);
        byte[] garbage = new byte[8192];
        for (int i = 0; i < 200; i++)
        {
            random.NextBytes(garbage);
            Assert.Throws<InvalidDataException>(() => VdsoImage.Build(garbage));
            OwnVdso.Bytes.AsSpan(0, 64 * (i % 5)).CopyTo(garbage); // plausible headers before the garbage
            BuildHostile(garbage);
        }
    }

    // What is accepted must make a valid image; what is not must say so, in no other way.
    private static void BuildHostile(byte[] real)
    {
        VdsoImage image;
        try
        {
            image = VdsoImage.Build(real);
        }
        catch (InvalidDataException)
        {
            return;
        }
        TestElf elf = new(image.Relocate(0));
        Assert.Equal((ulong)image.EnterEnclaveOffset, elf.FindByHash(VdsoImage.EnterEnclaveName)!.Value);
    }
}
