using Iced.Intel;
using SoftSgx.Host.Cpuid;
using static Iced.Intel.AssemblerRegisters;

namespace SoftSgx.Host.Tests.Cpuid;

public class CpuidScannerTests
{
    private const ulong PageBoundary = 0x7f00_0000_0000;
    private const ulong NoPageBoundary = PageBoundary + 0x10;

    private static byte[] Assemble(Action<Assembler> code)
    {
        Assembler a = new(64);
        code(a);
        using MemoryStream stream = new();
        a.Assemble(new StreamCodeWriter(stream), 0);
        return stream.ToArray();
    }

    /// <summary>Ordinary code of more bytes than the filter looks back.</summary>
    private static void Before(Assembler a)
    {
        for (int i = 0; i < 6; i++)
        {
            a.push(rbp);
            a.mov(rbp, rsp);
            a.push(rbx);
            a.mov(__qword_ptr[rbp - 0x18], rdi);
            a.lea(rsi, __[rbp + rdi * 4 + 0x120]);
        }
    }

    private static void After(Assembler a)
    {
        a.mov(__dword_ptr[rdi], eax);
        a.mov(__dword_ptr[rdi + 4], ebx);
        a.mov(__dword_ptr[rdi + 8], ecx);
        a.mov(__dword_ptr[rdi + 12], edx);
        a.pop(rbx);
        a.leave();
        a.ret();
    }

    private static List<int> Find(byte[] code, ulong address = NoPageBoundary)
    {
        List<int> offsets = [];
        CpuidScanner.FindSites(code, address, offsets);
        return offsets;
    }

    private static int OnlyMatch(byte[] code)
    {
        int at = code.AsSpan().IndexOf((ReadOnlySpan<byte>)[0x0f, 0xa2]);
        Assert.True(at >= 0);
        return at;
    }

    private static void AssertFound(Action<Assembler> setLeaf)
    {
        byte[] code = Assemble(a =>
        {
            Before(a);
            setLeaf(a);
            a.cpuid();
            After(a);
        });
        Assert.Equal([OnlyMatch(code)], Find(code));
    }

    private static void AssertNotFound(Action<Assembler> setLeaf)
    {
        byte[] code = Assemble(a =>
        {
            Before(a);
            setLeaf(a);
            a.cpuid();
            After(a);
        });
        Assert.Empty(Find(code));
    }

    [Fact]
    public void Usual_ways_to_load_a_leaf_are_found()
    {
        AssertFound(a => a.xor(eax, eax));
        AssertFound(a => a.mov(eax, 7));
        AssertFound(a => a.mov(eax, 0x12));
        AssertFound(a => a.mov(rax, 7));
        AssertFound(a => a.mov(eax, 0x40000000));
        AssertFound(a => a.mov(eax, 0x80000008));
        AssertFound(a => a.mov(eax, 0xC0000000));
        AssertFound(a => a.mov(eax, edi));
        AssertFound(a => a.mov(eax, __dword_ptr[rbp - 0x14]));
    }

    [Fact]
    public void Instructions_may_stand_between_the_leaf_and_cpuid()
    {
        AssertFound(a =>
        {
            a.mov(eax, 0x12);
            a.xor(ecx, ecx);
            a.mov(rsi, rbx);
            a.push(r12);
            a.cmp(edi, 5);
        });
    }

    [Fact]
    public void Zero_tested_by_a_jump_is_a_leaf()
    {
        AssertFound(a =>
        {
            Label elsewhere = a.CreateLabel();
            a.call(elsewhere);
            a.Label(ref elsewhere);
            a.test(eax, eax);
            a.jne(elsewhere);
        });
    }

    [Fact]
    public void Without_a_leaf_it_is_not_believed()
    {
        AssertNotFound(a => a.mov(eax, 0x12345678));
        AssertNotFound(a => a.imul(eax, edi, 3));
        AssertNotFound(a => a.mov(rax, 0x1_0000_0007));
        AssertNotFound(a => a.ret());
        AssertNotFound(a =>
        {
            a.mov(eax, 7);
            a.mov(__qword_ptr[rax], rdi);
        });
    }

    [Fact]
    public void Displacements_and_immediates_are_no_instructions()
    {
        byte[][] codes =
        [
            Assemble(a => { Before(a); a.mov(eax, 7); a.mov(ecx, 0x0000_a20f); After(a); }),
            Assemble(a => { Before(a); a.xor(eax, eax); a.mov(ecx, unchecked((int)0xa20f_0000)); After(a); }),
            Assemble(a => { Before(a); a.mov(eax, 7); a.mov(__dword_ptr[rbx + 0x00a2_0f00], ecx); After(a); }),
            Assemble(a => { Before(a); a.mov(eax, 7); a.add(__qword_ptr[rbp + 0xa20f], rdx); After(a); }),
        ];
        foreach (byte[] code in codes)
        {
            OnlyMatch(code);
            Assert.Empty(Find(code));
        }
    }

    [Fact]
    public void Results_used_as_addresses_are_not_believed()
    {
        byte[] code = Assemble(a =>
        {
            Before(a);
            a.xor(eax, eax);
            a.cpuid();
            a.add(__byte_ptr[rax], al);
            a.ret();
        });
        Assert.Empty(Find(code));
    }

    [Fact]
    public void A_saved_register_may_be_an_address_again()
    {
        byte[] code = Assemble(a =>
        {
            Before(a);
            a.mov(rsi, rbx);
            a.mov(eax, 7);
            a.cpuid();
            a.xchg(rsi, rbx);
            a.mov(__dword_ptr[rbx], esi);
            a.ret();
        });
        Assert.Equal([OnlyMatch(code)], Find(code));
    }

    [Fact]
    public void A_function_at_the_start_of_a_mapping_is_found()
    {
        byte[] code = Assemble(a => { a.push(rbx); a.mov(eax, 7); a.xor(ecx, ecx); a.cpuid(); After(a); });
        Assert.Equal([8], Find(code, PageBoundary));
        Assert.Empty(Find(code, NoPageBoundary));
        Assert.Empty(Find([0x0f, 0xa2], PageBoundary));
    }

    [Fact]
    public void Code_may_end_behind_the_site()
    {
        byte[] code = Assemble(a => { Before(a); a.mov(eax, 7); a.cpuid(); });
        Assert.Equal([code.Length - 2], Find(code));
        Assert.Empty(Find(code[..^1]));
    }

    [Fact]
    public void Offsets_are_appended_in_order()
    {
        byte[] code = Assemble(a =>
        {
            Before(a);
            for (int leaf = 0; leaf < 4; leaf++)
            {
                a.mov(eax, leaf);
                a.xor(ecx, ecx);
                a.cpuid();
                a.mov(__dword_ptr[rdi + leaf], ebx);
            }
            a.ret();
        });
        List<int> offsets = [-1];
        CpuidScanner.FindSites(code, NoPageBoundary, offsets);
        Assert.Equal(5, offsets.Count);
        Assert.Equal(offsets.Order(), offsets);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(0xff)]
    [InlineData(0x90)]
    public void Two_bytes_in_a_uniform_table_are_no_instruction(byte filler)
    {
        byte[] table = new byte[4096];
        table.AsSpan().Fill(filler);
        table[2000] = 0x0f;
        table[2001] = 0xa2;
        Assert.Empty(Find(table));
    }

    [Fact]
    public void Two_bytes_in_random_data_are_hardly_ever_an_instruction()
    {
        const int Trials = 100_000;
        Random random = new(20);
        byte[] data = new byte[192];
        int accepted = 0;
        for (int i = 0; i < Trials; i++)
        {
            random.NextBytes(data);
            data[96] = 0x0f;
            data[97] = 0xa2;
            accepted += Find(data).Contains(96) ? 1 : 0;
        }
        Assert.InRange(accepted, 0, Trials / 20_000);
    }

    [Fact]
    public void Tables_of_small_numbers_hold_no_instruction()
    {
        Random random = new(21);
        byte[] data = new byte[192];
        for (int i = 0; i < 100_000; i++)
        {
            random.NextBytes(data);
            for (int k = 0; k < data.Length; k++)
            {
                data[k] = (k & 3) == 0 ? (byte)(data[k] & 0x3f) : (byte)0;
            }
            data[96] = 0x0f;
            data[97] = 0xa2;
            Assert.Empty(Find(data));
        }
    }

    [Fact]
    public void Any_bytes_and_any_length_are_survived()
    {
        Random random = new(22);
        for (int i = 0; i < 20_000; i++)
        {
            byte[] data = new byte[random.Next(300)];
            random.NextBytes(data);
            for (int k = random.Next(4); k + 1 < data.Length; k += random.Next(2, 90))
            {
                data[k] = 0x0f;
                data[k + 1] = 0xa2;
            }
            foreach (int offset in Find(data, i % 2 == 0 ? PageBoundary : NoPageBoundary))
            {
                Assert.Equal((0x0f, 0xa2), (data[offset], data[offset + 1]));
            }
        }
    }

    [Fact]
    public void Overlapping_pieces_yield_what_the_whole_does()
    {
        byte[] code = Assemble(a =>
        {
            for (int i = 0; i < 40; i++)
            {
                Before(a);
                a.mov(eax, i & 7);
                a.cpuid();
                After(a);
            }
        });
        List<int> whole = Find(code);
        Assert.Equal(40, whole.Count);
        const int Overlap = CpuidScanner.BytesBefore + CpuidScanner.BytesAfter;
        foreach (int size in new[] { 300, 511, 1000 })
        {
            SortedSet<int> pieces = [];
            for (int at = 0; at < code.Length; at += size - Overlap)
            {
                List<int> offsets = [];
                CpuidScanner.FindSites(code.AsSpan(at, Math.Min(size, code.Length - at)), NoPageBoundary, offsets);
                pieces.UnionWith(offsets.Select(o => o + at));
            }
            Assert.Equal(whole, pieces);
        }
    }

    [Fact]
    public void Scanning_allocates_nothing_after_the_first_time()
    {
        byte[] code = new byte[1 << 20];
        Assemble(a => { Before(a); a.mov(eax, 7); a.cpuid(); After(a); }).CopyTo(code, 5000);
        List<int> offsets = new(capacity: 16);
        long allocated = SoftSgx.Tests.Allocations.Of(() =>
        {
            offsets.Clear();
            CpuidScanner.FindSites(code, NoPageBoundary, offsets);
        });
        Assert.Equal(0, allocated);
        Assert.Single(offsets);
    }
}
