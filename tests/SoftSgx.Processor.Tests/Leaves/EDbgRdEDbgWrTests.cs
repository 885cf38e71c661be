using System.Buffers.Binary;
using SoftSgx.Architecture;

namespace SoftSgx.Processor.Tests;

/// <summary>EDBGRD and EDBGWR: what a debugger may see and change.</summary>
public class EDbgRdEDbgWrTests
{
    private static readonly LeafResult s_gp = LeafResult.FromFault(Fault.GeneralProtection());
    private static readonly LeafResult s_notDebuggable = LeafResult.FromError(SgxError.SGX_PAGE_NOT_DEBUGGABLE);

    private readonly TestPlatform _platform = new(new ProcessorConfiguration { Sgx2 = true });

    private SgxProcessor Processor => _platform.Processor;

    [Fact]
    public void A_debug_enclave_is_read_and_written_whatever_its_permissions()
    {
        TestEnclave enclave = Debuggable();
        SecInfo none = SecInfo.For(PageType.PT_REG, SecInfoFlags.None);
        Assert.Equal(LeafResult.Ok, EModPr.Execute(Processor, in none, enclave.DataPage));

        Assert.Equal(LeafResult.Ok, EDbgWr.Execute(Processor, 0x1122334455667788, enclave.DataPage, 4088));
        Assert.Equal(LeafResult.Ok, EDbgRd.Execute(Processor, enclave.DataPage, 4088, out ulong data));
        Assert.Equal(0x1122334455667788UL, data);
        Assert.Equal(0x1122334455667788UL, BinaryPrimitives.ReadUInt64LittleEndian(enclave.Data[4088..]));
    }

    [Fact]
    public void Of_a_tcs_all_is_read_and_the_flags_are_written()
    {
        TestEnclave enclave = Debuggable();

        Assert.Equal(LeafResult.Ok, EDbgRd.Execute(Processor, enclave.TcsPage, 32, out ulong entry));
        Assert.Equal(TestEnclave.Entry, entry);
        Assert.Equal(LeafResult.Ok, EDbgRd.Execute(Processor, enclave.TcsPage, 64, out _));
        Assert.Equal(s_gp, EDbgRd.Execute(Processor, enclave.TcsPage, 72, out _));
        Assert.Equal(s_gp, EDbgRd.Execute(Processor, enclave.TcsPage, 4088, out _));
        Assert.Equal(s_gp, EDbgWr.Execute(Processor, 1, enclave.TcsPage, 0));
        Assert.Equal(s_gp, EDbgWr.Execute(Processor, 1, enclave.TcsPage, 16));
        Assert.Equal(LeafResult.Ok, EDbgWr.Execute(Processor, (ulong)TcsFlags.DBGOPTIN, enclave.TcsPage, 8));
        enclave.EnterOk();
        Assert.True(enclave.Logical.DebugOptIn);
    }

    [Fact]
    public void Of_a_version_array_it_is_told_which_slots_are_in_use()
    {
        TestEnclave enclave = Debuggable();
        int array = Evicted.VersionArray(_platform);
        Evicted.Child(_platform, enclave.SecsPage, enclave.DataPage, array, 24);

        Assert.Equal(LeafResult.Ok, EDbgRd.Execute(Processor, array, 24, out ulong data));
        Assert.Equal(ulong.MaxValue, data);
        Assert.Equal(LeafResult.Ok, EDbgRd.Execute(Processor, array, 32, out data));
        Assert.Equal(0UL, data);
        Assert.Equal(ExceptionVector.PF, EDbgWr.Execute(Processor, 1, array, 24).Fault.Kind);
    }

    [Fact]
    public void Nothing_of_an_enclave_without_debug_is_told()
    {
        TestEnclave enclave = TestEnclave.Initialized(_platform);

        Assert.Equal(s_gp, EDbgRd.Execute(Processor, enclave.DataPage, 0, out ulong data));
        Assert.Equal(0UL, data);
        Assert.Equal(s_gp, EDbgRd.Execute(Processor, enclave.TcsPage, 8, out _));
        Assert.Equal(s_gp, EDbgWr.Execute(Processor, 1, enclave.DataPage, 0));
        Assert.Equal(s_gp, EDbgWr.Execute(Processor, 1, enclave.TcsPage, 8));
        Assert.Equal(0x11, enclave.Data[0]);
    }

    [Fact]
    public void Checks_come_in_the_manuals_order()
    {
        TestEnclave enclave = Debuggable();
        int pending = 150;
        Assert.Equal(LeafResult.Ok, EAug.Execute(Processor, null, TestPlatform.Base + 0x8000, enclave.SecsPage, pending));
        SecInfo trim = SecInfo.For(PageType.PT_TRIM, SecInfoFlags.None);
        SecInfo tcs = SecInfo.For(PageType.PT_TCS, SecInfoFlags.None);
        Assert.Equal(LeafResult.Ok, EModT.Execute(Processor, in trim, enclave.LastPage));
        Assert.Equal(LeafResult.Ok, EModT.Execute(Processor, in tcs, enclave.SsaPages[1]));

        foreach (Func<int, int, LeafResult> leaf in new Func<int, int, LeafResult>[]
        {
            (page, offset) => EDbgRd.Execute(Processor, page, offset, out _),
            (page, offset) => EDbgWr.Execute(Processor, 1, page, offset),
        })
        {
            Assert.Equal(s_gp, leaf(999, 4));
            Assert.Equal(s_gp, leaf(999, 4096));
            Assert.Equal(s_gp, leaf(999, -8));
            Assert.Equal(ExceptionVector.PF, leaf(999, 0).Fault.Kind);
            Assert.Equal(ExceptionVector.PF, leaf(200, 0).Fault.Kind);
            Assert.Equal(ExceptionVector.PF, leaf(enclave.SecsPage, 0).Fault.Kind);
            Assert.Equal(ExceptionVector.PF, leaf(enclave.LastPage, 0).Fault.Kind);
            Assert.Equal(s_notDebuggable, leaf(pending, 0));
            Assert.Equal(s_notDebuggable, leaf(enclave.SsaPages[1], 4088));
        }
    }

    private TestEnclave Debuggable() =>
        TestEnclave.Initialized(_platform, new EnclaveOptions { Flags = TestPlatform.Flags | AttributeFlags.DEBUG });
}
