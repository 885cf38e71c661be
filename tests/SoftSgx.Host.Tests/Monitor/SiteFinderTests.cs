using Iced.Intel;
using SoftSgx.Host.Monitor;
using static Iced.Intel.AssemblerRegisters;

namespace SoftSgx.Host.Tests.Monitor;

/// <summary>Which instructions before an ENCLU a jump takes the place of.</summary>
public class SiteFinderTests
{
    private const ulong Address = 0x7f12_3456_7000;

    [Fact]
    public void A_long_instruction_is_taken_alone()
    {
        Instruction[] stolen = Find(static a =>
        {
            a.xor(ecx, ecx);
            a.mov(eax, 4);
        });

        Assert.Equal([5], stolen.Select(static instruction => instruction.Length));
        Assert.Empty(MonitorSite.InnerOf(stolen));
    }

    /// <summary>As before the EEXIT of an OCALL of Intel's SDK.</summary>
    [Fact]
    public void Short_instructions_are_taken_together()
    {
        Instruction[] stolen = Find(static a =>
        {
            a.xor(r15, r15);
            a.add(rdx, rdx);
            a.cld();
        });

        Assert.Equal([3, 3, 1], stolen.Select(static instruction => instruction.Length));
        Assert.Equal([3], MonitorSite.InnerOf(stolen));
    }

    /// <summary>Where the lower half of the displacement lies no instruction may begin, since nobody chooses its bytes.</summary>
    [Fact]
    public void The_first_one_has_three_bytes()
    {
        Instruction[] stolen = Find(static a =>
        {
            a.mov(rsi, rdi);
            a.nop();
            a.xor(ecx, ecx);
            a.mov(rdx, r8);
        });

        Assert.Equal([3, 1, 2, 3], stolen.Select(static instruction => instruction.Length));
        Assert.Equal([3, 4], MonitorSite.InnerOf(stolen));
    }

    [Fact]
    public void An_instruction_behind_the_jump_begins_nowhere_under_it()
    {
        Instruction[] stolen = Find(static a =>
        {
            a.mov(r8d, 1);
            a.clc();
        });

        Assert.Equal([6, 1], stolen.Select(static instruction => instruction.Length));
        Assert.Empty(MonitorSite.InnerOf(stolen));
    }

    [Fact]
    public void Nothing_is_taken_that_branches() => Assert.Empty(Find(static a =>
    {
        Label next = a.CreateLabel();
        a.je(next);
        a.Label(ref next);
        a.add(rdx, rdx);
        a.cld();
    }));

    [Fact]
    public void Nothing_is_taken_that_a_branch_leads_into() => Assert.Empty(Find(static a =>
    {
        Label inner = a.CreateLabel();
        a.jmp(inner);
        a.xor(r15, r15);
        a.Label(ref inner);
        a.add(rdx, rdx);
        a.cld();
    }));

    [Fact]
    public void A_run_of_single_bytes_is_left_alone() => Assert.Empty(Find(static a =>
    {
        for (int i = 0; i < 12; i++)
        {
            a.cld();
        }
    }));

    [Theory]
    [InlineData(0x12CC_3456, new[] { 3 }, true)]
    [InlineData(0x12CD_3456, new[] { 3 }, false)]
    [InlineData(unchecked((int)0xCCCC_3456), new[] { 3, 4 }, true)]
    [InlineData(0x33CC_3456, new[] { 3, 4 }, false)]
    [InlineData(0, new int[0], true)]
    public void The_displacement_has_traps(int displacement, int[] inner, bool has) =>
        Assert.Equal(has, MonitorSite.HasTraps(displacement, inner));

    private static Instruction[] Find(Action<Assembler> code)
    {
        Assembler a = new(64);
        for (int i = 0; i < 8; i++)
        {
            a.mov(__qword_ptr[rbp - 0x18], rdi);
            a.xor(r8, r8);
        }
        code(a);
        using MemoryStream stream = new();
        a.Assemble(new StreamCodeWriter(stream), Address);
        int enclu = (int)stream.Length;
        stream.Write([0x0F, 0x01, 0xD7, 0x0F, 0x0B]);
        bool isFound = SiteFinder.TryFind(stream.ToArray(), Address, enclu, out Instruction[] stolen);
        Assert.Equal(isFound, stolen.Length > 0);
        Assert.True(!isFound || stolen[^1].NextIP == Address + (ulong)enclu);
        return stolen;
    }
}
