using System.Runtime.InteropServices;
using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Kernel.Tests;

/// <summary>How debuggers reach enclave memory: sgx_vma_access, arch/x86/kernel/cpu/sgx/encl.c.</summary>
public class DebugAccessTests
{
    private const PageProtection ReadWrite = PageProtection.Read | PageProtection.Write;
    private const ulong Heap = Machine.EnclaveBase + TestEnclave.HeapOffset;
    private const ulong Code = Machine.EnclaveBase + TestEnclave.CodeOffset;
    private const ulong TcsFlags = Machine.EnclaveBase + TestEnclave.TcsOffset + 8;

    private readonly Machine _machine = new(configuration: new ProcessorConfiguration { Sgx2 = true });

    [Theory]
    [InlineData(0, 1)]
    [InlineData(3, 2)]
    [InlineData(5, 3)]
    [InlineData(5, 4)]
    [InlineData(7, 17)]
    [InlineData(4091, 5)]
    [InlineData(0, 4096)]
    public void Any_bytes_of_a_page_can_be_read_and_written(int offset, int length)
    {
        Enclave enclave = Build();
        byte[] expected = _machine.Source.Data[..4096].ToArray();
        byte[] data = new byte[length];
        Assert.Equal(Errno.None, enclave.Access(Heap + (ulong)offset, data, isWrite: false, ReadWrite));
        Assert.Equal(expected[offset..(offset + length)], data);

        new Random(4711).NextBytes(data);
        data.CopyTo(expected, offset);
        Assert.Equal(Errno.None, enclave.Access(Heap + (ulong)offset, data, isWrite: true, ReadWrite));
        Assert.Equal(expected, _machine.Platform.Frame(enclave.EpcPageAt(Heap)).ToArray());
    }

    [Fact]
    public void A_range_may_go_over_pages()
    {
        Enclave enclave = Build();
        const ulong Ssa = Machine.EnclaveBase + TestEnclave.SsaOffset;
        byte[] data = [1, 2, 3, 4, 5, 6];
        Assert.Equal(Errno.None, enclave.Access(Ssa + 4093, data, isWrite: true, ReadWrite));
        Assert.Equal(data[..3], _machine.Platform.Frame(enclave.EpcPageAt(Ssa))[4093..].ToArray());
        Assert.Equal(data[3..], _machine.Platform.Frame(enclave.EpcPageAt(Ssa + 4096))[..3].ToArray());
    }

    /// <summary>The whole access fails, although what lies before the hole was written: Linux returns no count then.</summary>
    [Fact]
    public void A_hole_fails_the_whole_access()
    {
        Enclave enclave = Build();
        Assert.Equal(Errno.EFAULT, enclave.Access(Heap + 4088, new byte[16], isWrite: true, ReadWrite));
        Assert.Equal(new byte[8], _machine.Platform.Frame(enclave.EpcPageAt(Heap))[4088..].ToArray());
        Assert.Equal(Errno.EFAULT, enclave.Access(Heap + 4096, new byte[1], isWrite: false, PageProtection.None));
        Assert.Equal(Errno.EFAULT, enclave.Access(Machine.EnclaveBase - 8, new byte[8], isWrite: false, PageProtection.None));
        const ulong Behind = Machine.EnclaveBase + Machine.EnclaveSize;
        Assert.Equal(Errno.EFAULT, enclave.Access(Behind, new byte[8], isWrite: false, PageProtection.None));
        Assert.Equal(Errno.EFAULT, enclave.Access(ulong.MaxValue - 3, new byte[8], isWrite: false, PageProtection.None));
        Assert.Equal(TestEnclave.Pages, enclave.PageCount); // no EAUG
    }

    [Fact]
    public void Code_can_be_written_where_neither_mapping_nor_EPCM_allows_it()
    {
        Enclave enclave = Build();
        Assert.Equal(Errno.None, enclave.Access(Code + 1, [0xCC], isWrite: true, PageProtection.Read | PageProtection.Execute));
        Assert.Equal(0xCC, _machine.Platform.Frame(enclave.EpcPageAt(Code))[1]);
    }

    [Fact]
    public void A_mapping_that_asks_for_more_than_the_page_may_have_shows_nothing()
    {
        Enclave enclave = Build();
        Assert.Equal(Errno.EFAULT, enclave.Access(Code, new byte[8], isWrite: false, PageProtection.Access));
        Assert.Equal(Errno.EFAULT, enclave.Access(Heap, new byte[8], isWrite: false, PageProtection.Access));
        Assert.Equal(Errno.None, enclave.Access(Heap, new byte[8], isWrite: false, PageProtection.None));
    }

    [Fact]
    public void Of_a_TCS_only_the_flags_can_be_written()
    {
        Enclave enclave = Build();
        Assert.Equal(Errno.None, enclave.Access(TcsFlags, BitConverter.GetBytes(1UL), isWrite: true, ReadWrite));
        Tcs tcs = MemoryMarshal.Read<Tcs>(_machine.Platform.Frame(enclave.EpcPageAt(TcsFlags)));
        Assert.Equal(Architecture.TcsFlags.DBGOPTIN, tcs.Flags);
        Assert.Equal(Errno.EIO, enclave.Access(TcsFlags - 8, new byte[8], isWrite: true, ReadWrite));
        Assert.Equal(Errno.EIO, enclave.Access(TcsFlags + 8, new byte[8], isWrite: true, ReadWrite));
        byte[] ossa = new byte[8];
        Assert.Equal(Errno.None, enclave.Access(TcsFlags + 8, ossa, isWrite: false, ReadWrite));
        Assert.Equal(TestEnclave.SsaOffset, BitConverter.ToUInt64(ossa));
        Assert.Equal(Errno.EIO, enclave.Access(TcsFlags - 8 + 72, new byte[8], isWrite: false, ReadWrite));
        Assert.Equal(Errno.EFAULT, enclave.Access(TcsFlags, new byte[8], isWrite: false, PageProtection.Execute));
    }

    [Fact]
    public void A_production_enclave_shows_nothing()
    {
        Enclave enclave = TestEnclave.BuildInitialized(_machine);
        Assert.Equal(Errno.EFAULT, enclave.Access(Heap, new byte[8], isWrite: false, ReadWrite));
        Assert.Equal(Errno.EFAULT, enclave.Access(Heap, new byte[8], isWrite: true, ReadWrite));
        Assert.False(_machine.Encls.Calls.ContainsKey(EnclsLeaf.EDBGRD));
    }

    [Fact]
    public void Nothing_is_there_before_CREATE_and_after_the_end()
    {
        Assert.Equal(Errno.EFAULT, _machine.Open().Access(0, new byte[8], isWrite: false, PageProtection.None));
        Enclave enclave = Build();
        enclave.Release();
        Assert.Equal(Errno.EFAULT, enclave.Access(Heap, new byte[8], isWrite: false, ReadWrite));
        _machine.AssertNothingLeaked();
    }

    [Fact]
    public void Before_INIT_pages_can_be_reached_but_those_of_an_enclave_of_2019()
    {
        (Enclave enclave, _) = TestEnclave.Build(_machine, extra: AttributeFlags.DEBUG);
        Assert.Equal(Errno.None, enclave.Access(Heap, new byte[8], isWrite: false, ReadWrite));
        enclave.OnAddPage();
        Assert.Equal(Errno.EFAULT, enclave.Access(Heap, new byte[8], isWrite: false, ReadWrite));
    }

    [Fact]
    public void Pages_that_are_out_are_loaded()
    {
        Enclave enclave = Build();
        _machine.EvictAll();
        Assert.Equal(Errno.None, enclave.Access(TcsFlags, BitConverter.GetBytes(1UL), isWrite: true, ReadWrite));
        byte[] data = new byte[4096];
        Assert.Equal(Errno.None, enclave.Access(Heap, data, isWrite: false, ReadWrite));
        Assert.Equal(_machine.Source.Data[..4096].ToArray(), data);
        Assert.Equal((2, 1), (enclave.Counters.Loads, enclave.Counters.SecsLoads));
        _machine.EvictAll();
        byte[] flags = new byte[8];
        Assert.Equal(Errno.None, enclave.Access(TcsFlags, flags, isWrite: false, ReadWrite));
        Assert.Equal(1UL, BitConverter.ToUInt64(flags)); // what was written went out and came back
    }

    [Fact]
    public void A_full_EPC_without_anything_to_reclaim_is_ENOMEM()
    {
        Enclave enclave = Build();
        _machine.EvictAll();
        _machine.LeaveFree(0);
        Assert.Equal(Errno.ENOMEM, enclave.Access(Heap, new byte[8], isWrite: false, ReadWrite));
        _machine.FreeAll();
        Assert.Equal(Errno.None, enclave.Access(Heap, new byte[8], isWrite: false, ReadWrite));
    }

    [Fact]
    public void What_the_processor_refuses_is_EIO()
    {
        Enclave enclave = Build();
        Assert.Equal(FaultOutcome.Present, enclave.HandleFault(Heap + 4096, PageProtection.Read, null)); // EAUG: pending
        Assert.Equal(Errno.EIO, enclave.Access(Heap + 4096, new byte[8], isWrite: false, ReadWrite));
        _machine.Encls.Fail(EnclsLeaf.EDBGWR, ScriptedEncls.Fault);
        Assert.Equal(Errno.EIO, enclave.Access(Heap, new byte[8], isWrite: true, ReadWrite));
        _machine.Encls.Fail(EnclsLeaf.EDBGRD, ScriptedEncls.Fault);
        Assert.Equal(Errno.EIO, enclave.Access(Heap, new byte[8], isWrite: true, ReadWrite));
    }

    private Enclave Build()
    {
        (Enclave enclave, SigStruct sigStruct) = TestEnclave.Build(_machine, extra: AttributeFlags.DEBUG);
        Assert.Equal(Errno.None, _machine.Init(enclave, in sigStruct));
        return enclave;
    }
}
