using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Processor.Tests;

/// <summary>EENTER and EEXIT: registers there and back, and everything that keeps a thread out.</summary>
public class EEnterEExitTests
{
    private const PageFaultError EpcmWrite = PageFaultError.Present | PageFaultError.Write | PageFaultError.User | PageFaultError.Sgx;

    private static readonly LeafResult s_gp = LeafResult.FromFault(Fault.GeneralProtection());

    [Fact]
    public void Entering_loads_the_enclaves_registers_and_leaving_the_hosts()
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform());
        RegisterFile registers = TestEnclave.HostRegisters();
        registers.R15 = 0xF15;
        registers.Rflags |= Rflags.TF;

        Assert.Equal(LeafResult.Ok, enclave.Enclu(ref registers));
        Assert.Equal(0UL, registers.Rax);
        Assert.Equal(TestPlatform.Base, registers.Rbx);
        Assert.Equal(0x40_2003UL, registers.Rcx);
        Assert.Equal(TestPlatform.Base + TestEnclave.Entry, registers.Rip);
        Assert.Equal(TestPlatform.Base + TestEnclave.FsOffset, registers.FsBase);
        Assert.Equal(TestPlatform.Base + TestEnclave.GsOffset, registers.GsBase);
        Assert.Equal(0x7FFE_1000UL, registers.Rsp);
        Assert.Equal(0xF15UL, registers.R15);
        Assert.Equal(0x202UL, registers.Rflags);

        LogicalProcessor logical = enclave.Logical;
        Assert.True(logical.InEnclave);
        Assert.Equal(enclave.SecsPage, logical.ActiveSecs);
        Assert.Equal(enclave.TcsPage, logical.ActiveTcs);
        Assert.Equal(TestPlatform.Base, logical.TcsAddress);
        Assert.True(logical.IsInElrange(TestPlatform.Base + TestPlatform.Size - 1));
        Assert.False(logical.IsInElrange(TestPlatform.Base + TestPlatform.Size));
        GprSgx gpr = MemoryMarshal.Read<GprSgx>(enclave.Platform.Frames.Frame(enclave.SsaPages[0])[(4096 - 184)..]);
        Assert.Equal(0x7FFE_1000UL, gpr.URsp);
        Assert.Equal(0x7FFE_2000UL, gpr.URbp);

        registers.Rax = (ulong)EncluLeaf.EEXIT;
        registers.Rbx = 0x55_0000;
        registers.Rdx = 0xDD;
        Assert.Equal(LeafResult.Ok, enclave.Enclu(ref registers));
        Assert.Equal(0x55_0000UL, registers.Rip);
        Assert.Equal(0x40_1000UL, registers.Rcx);
        Assert.Equal(0xF5_0000UL, registers.FsBase);
        Assert.Equal(0x65_0000UL, registers.GsBase);
        Assert.Equal(0xDDUL, registers.Rdx);
        Assert.Equal(0x202UL | Rflags.TF, registers.Rflags);
        Assert.False(logical.InEnclave);
        Assert.Equal(Tcs.Inactive, enclave.Tcs.State);
        Assert.Equal(0u, enclave.Tcs.CSsa);
    }

    [Fact]
    public void Leaving_for_an_address_that_is_not_canonical_faults_and_stays_inside()
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform());
        RegisterFile registers = enclave.EnterOk();
        registers.Rax = (ulong)EncluLeaf.EEXIT;
        registers.Rbx = 0x8000_0000_0000;

        Assert.Equal(s_gp, enclave.Enclu(ref registers));
        Assert.True(enclave.Logical.InEnclave);
    }

    [Theory]
    [InlineData(EncluLeaf.EREPORT)]
    [InlineData(EncluLeaf.EGETKEY)]
    [InlineData(EncluLeaf.EEXIT)]
    [InlineData(EncluLeaf.EACCEPT)]
    [InlineData(EncluLeaf.EMODPE)]
    [InlineData(EncluLeaf.EACCEPTCOPY)]
    [InlineData(EncluLeaf.EVERIFYREPORT2)]
    [InlineData(EncluLeaf.EDECCSSA)]
    [InlineData((EncluLeaf)10)]
    [InlineData((EncluLeaf)uint.MaxValue)]
    public void Leaves_for_the_inside_fault_outside(EncluLeaf leaf)
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform());
        RegisterFile registers = TestEnclave.HostRegisters();
        registers.Rax = (uint)leaf;
        RegisterFile before = registers;

        Assert.Equal(s_gp, enclave.Enclu(ref registers));
        Assert.Equal(before, registers);
    }

    [Theory]
    [InlineData(EncluLeaf.EENTER)]
    [InlineData(EncluLeaf.ERESUME)]
    [InlineData(EncluLeaf.EACCEPT)]
    [InlineData(EncluLeaf.EMODPE)]
    [InlineData(EncluLeaf.EACCEPTCOPY)]
    [InlineData(EncluLeaf.EDECCSSA)]
    [InlineData((EncluLeaf)10)]
    public void Leaves_for_the_outside_and_unknown_ones_fault_inside(EncluLeaf leaf)
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform());
        RegisterFile registers = enclave.EnterOk();
        registers.Rax = (uint)leaf;
        registers.Rcx = 0x1000;
        RegisterFile before = registers;

        Assert.Equal(s_gp, enclave.Enclu(ref registers));
        Assert.Equal(before, registers);
        Assert.True(enclave.Logical.InEnclave);
    }

    [Fact]
    public void Without_sgx1_enclu_is_no_instruction()
    {
        TestPlatform platform = new(new ProcessorConfiguration { Sgx1 = false });
        RegisterFile registers = TestEnclave.HostRegisters();

        Assert.Equal(
            LeafResult.FromFault(Fault.InvalidOpcode()),
            Enclu.Execute(platform.Processor, new LogicalProcessor(), ref registers, new LinearSpace(), []));
    }

    [Fact]
    public void Eresume_alone_needs_the_extended_state()
    {
        Assert.Equal([EncluLeaf.ERESUME], Enum.GetValues<EncluLeaf>().Where(Enclu.NeedsXsave));
    }

    [Fact]
    public void Only_eax_names_the_leaf()
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform());
        RegisterFile registers = TestEnclave.HostRegisters();
        registers.Rax = 0xFFFF_FFFF_0000_0002;

        Assert.Equal(LeafResult.Ok, enclave.Enclu(ref registers));
    }

    [Fact]
    public void A_tcs_lets_one_thread_in()
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform());
        enclave.EnterOk();
        LogicalProcessor second = new();
        RegisterFile registers = TestEnclave.HostRegisters();
        RegisterFile before = registers;

        Assert.Equal(s_gp, EEnter.Execute(enclave.Platform.Processor, second, ref registers, enclave.Space));
        Assert.Equal(before, registers);
        Assert.False(second.InEnclave);
    }

    [Fact]
    public void Each_page_is_refused_for_its_own_reason()
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform());
        ulong tcs = TestPlatform.Base;
        ulong ssa = TestPlatform.Base + TestEnclave.SsaOffset;

        // RBX misaligned beats an AEP that is not canonical; so does a TCS that is not mapped.
        Refused(s_gp, (ref RegisterFile r) => r.Rbx += 8);
        enclave.Space.Unmap(tcs);
        Refused(
            LeafResult.FromFault(Fault.Page(tcs, PageFaultError.User | PageFaultError.Write)),
            (ref RegisterFile r) => r.Rcx = 0x8000_0000_0000);
        enclave.Space.Map(tcs, LinearSpace.Ordinary);
        Refused(LeafResult.FromFault(Fault.Page(tcs, EpcmWrite)), (ref RegisterFile r) => r.Rcx = 0x8000_0000_0000);
        enclave.Space.Map(tcs, enclave.DataPage);
        Refused(s_gp, (ref RegisterFile r) => r.Rcx = 0x8000_0000_0000);
        Refused(LeafResult.FromFault(Fault.Page(tcs, EpcmWrite)));
        enclave.Space.Map(tcs, enclave.SecsPage);
        Refused(LeafResult.FromFault(Fault.Page(tcs, EpcmWrite)));
        enclave.Space.Map(tcs, 200);
        Refused(LeafResult.FromFault(Fault.Page(tcs, EpcmWrite)));
        enclave.Space.Map(tcs + 0x8000, enclave.TcsPage);
        Refused(LeafResult.FromFault(Fault.Page(tcs + 0x8000, EpcmWrite)), (ref RegisterFile r) => r.Rbx += 0x8000);
        enclave.Space.Map(tcs, enclave.TcsPage);

        enclave.Space.Unmap(ssa);
        Refused(LeafResult.FromFault(Fault.Page(ssa, PageFaultError.User | PageFaultError.Write)));
        enclave.Space.Map(ssa, enclave.SsaPages[0], writable: false);
        Refused(LeafResult.FromFault(Fault.Page(ssa, PageFaultError.User | PageFaultError.Write | PageFaultError.Present)));
        enclave.Space.Map(ssa, LinearSpace.Ordinary);
        Refused(LeafResult.FromFault(Fault.Page(ssa, EpcmWrite)));
        enclave.Space.Map(ssa, enclave.SsaPages[1]);
        Refused(LeafResult.FromFault(Fault.Page(ssa, EpcmWrite)));
        enclave.Space.Map(ssa, enclave.TcsPage);
        Refused(LeafResult.FromFault(Fault.Page(ssa, EpcmWrite)));
        enclave.Space.Map(ssa, enclave.SsaPages[0]);
        enclave.Tcs.OSsa = 0;
        Refused(LeafResult.FromFault(Fault.Page(tcs, EpcmWrite)));
        enclave.Tcs.OSsa = TestEnclave.SsaOffset;

        // A failed entry does not count as a thread inside, and leaves the TCS free.
        enclave.EnterOk();

        void Refused(LeafResult expected, Change? change = null)
        {
            RegisterFile registers = TestEnclave.HostRegisters();
            change?.Invoke(ref registers);
            RegisterFile before = registers;
            Assert.Equal(expected, enclave.Enter(ref registers));
            Assert.Equal(before, registers);
            Assert.False(enclave.Logical.InEnclave);
            Assert.Equal(Tcs.Inactive, enclave.Tcs.State);
        }
    }

    private delegate void Change(ref RegisterFile registers);

    public static TheoryData<string> BadTcs => ["ossa", "ofsbase", "ogsbase", "fs not canonical", "gs not canonical", "flags", "debug flag kept out", "no frame", "entry not canonical"];

    [Theory]
    [MemberData(nameof(BadTcs))]
    public void A_bad_tcs_is_a_general_protection_fault(string what)
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform(), new EnclaveOptions
        {
            ConfigureTcs = b =>
            {
                switch (what)
                {
                    case "ossa": b.Value.OSsa += 0x800; break;
                    case "ofsbase": b.Value.OFsBase += 1; break;
                    case "ogsbase": b.Value.OGsBase += 1; break;
                    case "fs not canonical": b.Value.OFsBase = 0x8000_0000_0000; break;
                    case "gs not canonical": b.Value.OGsBase = 0x8000_0000_0000; break;
                    case "flags": b.Value.Flags = (TcsFlags)4; break;
                    case "debug flag kept out": b.Value.Flags = TcsFlags.AEXNOTIFY; break;
                    case "no frame": b.Value.NSsa = 0; break;
                    case "entry not canonical": b.Value.OEntry = 0x8000_0000_0000; break;
                }
            },
        });
        RegisterFile registers = TestEnclave.HostRegisters();

        Assert.Equal(s_gp, enclave.Enter(ref registers));
        Assert.Equal(Tcs.Inactive, enclave.Tcs.State);
        Assert.Equal(LeafResult.Ok, ERemove.Execute(enclave.Platform.Processor, enclave.DataPage));
    }

    [Fact]
    public void An_enclave_that_is_not_initialised_cannot_be_entered()
    {
        TestEnclave enclave = new(new TestPlatform());
        RegisterFile registers = TestEnclave.HostRegisters();

        Assert.Equal(s_gp, enclave.Enter(ref registers));
    }

    [Fact]
    public void An_enclave_of_another_mode_cannot_be_entered()
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform(), new EnclaveOptions { Flags = AttributeFlags.None });
        RegisterFile registers = TestEnclave.HostRegisters();

        Assert.Equal(s_gp, enclave.Enter(ref registers));
    }

    [Fact]
    public void An_enclave_of_components_beyond_the_processors_cannot_be_entered()
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform());

        // ECREATE makes no such SECS.
        ref ulong xfrm = ref enclave.Platform.Processor.WritableSecsOf(enclave.SecsPage).Attributes.Xfrm;
        RegisterFile registers = TestEnclave.HostRegisters();

        xfrm |= (ulong)XFeatureMask.PKRU;
        Assert.Equal(s_gp, enclave.Enter(ref registers));
        xfrm &= ~(ulong)XFeatureMask.PKRU;
        enclave.EnterOk();
    }

    [Fact]
    public void Pages_of_a_frame_that_an_exit_would_not_write_are_not_looked_at()
    {
        // The XSAVE image fills the first page to its last byte, GPRSGX is in the third.
        const ulong Xfrm = (ulong)(XFeatureMask.Legacy | XFeatureMask.PKRU);
        XsaveLayout layout = new([new XsaveComponent(9, 576, 4096 - 576)]);
        TestPlatform platform = new(new ProcessorConfiguration { Xfrm = Xfrm, XsaveLayout = layout });
        TestEnclave enclave = TestEnclave.Initialized(platform, new EnclaveOptions { Xfrm = Xfrm, SsaFrameSize = 3 });
        enclave.Space.Unmap(TestPlatform.Base + TestEnclave.SsaOffset + 4096);

        enclave.EnterOk();
        Assert.Equal([enclave.SsaPages[0]], enclave.Logical.XsavePages.ToArray());
        Assert.Equal(enclave.SsaPages[2], enclave.Logical.GprPage);
    }

    [Fact]
    public void A_frame_that_another_thread_has_used_up_meanwhile_is_not_entered()
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform());
        RegisterFile registers = TestEnclave.HostRegisters();
        RegisterFile before = registers;
        enclave.Space.Interrupt(TestPlatform.Base + TestEnclave.SsaOffset, () =>
        {
            LogicalProcessor second = new();
            RegisterFile other = TestEnclave.HostRegisters();
            Assert.Equal(LeafResult.Ok, EEnter.Execute(enclave.Platform.Processor, second, ref other, enclave.Space));
            AsynchronousExit.Abandon(enclave.Platform.Processor, second);
        });

        Assert.Equal(s_gp, enclave.Enter(ref registers));
        Assert.Equal(before, registers);
        Assert.False(enclave.Logical.InEnclave);
        Assert.Equal(1UL, enclave.EnterOk().Rax);
    }

    [Theory]
    [InlineData(SecInfoFlags.R)]
    [InlineData(SecInfoFlags.R | SecInfoFlags.X)]
    [InlineData(SecInfoFlags.None)]
    public void An_ssa_page_must_be_readable_and_writable(SecInfoFlags permissions)
    {
        TestPlatform platform = new();
        LogicalProcessor logical = new() { LePubKeyHash = TestSigner.First.MrSigner };
        Secs secs = TestPlatform.DefaultSecs();
        int secsPage = platform.Create(in secs);
        Tcs tcs = new() { OSsa = 0x1000, NSsa = 1 };
        LinearSpace space = new();
        space.Map(TestPlatform.Base, platform.Add(secsPage, 0, Bytes.Of(in tcs), TestPlatform.TcsInfo));
        SecInfo info = SecInfo.For(PageType.PT_REG, permissions);
        space.Map(TestPlatform.Base + 0x1000, platform.Add(secsPage, 0x1000, new byte[4096], info));
        SigStruct sig = TestSigner.Template(
            new MeasurementLog().Create(1, TestPlatform.Size).Add(0, 0x100).Add(0x1000, (ulong)info.Flags).Digest(), secs.Attributes);
        TestSigner.First.Sign(ref sig);
        Assert.Equal(LeafResult.Ok, platform.Init(logical, secsPage, in sig));
        RegisterFile registers = TestEnclave.HostRegisters();

        Assert.Equal(
            LeafResult.FromFault(Fault.Page(TestPlatform.Base + 0x1000, EpcmWrite)),
            EEnter.Execute(platform.Processor, logical, ref registers, space));
    }

    [Fact]
    public void Crossing_the_border_allocates_nothing()
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform());
        Assert.InRange(SoftSgx.Tests.Allocations.Of(() => Cross(enclave, 1000)), 0, 999);
    }

    [Fact]
    public void Many_threads_at_one_tcs_never_share_it()
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform());
        int inside = 0;
        int entries = 0;
        bool shared = false;
        Thread[] threads = [.. Enumerable.Range(0, 4).Select(_ => new Thread(() =>
        {
            LogicalProcessor logical = new();
            for (int i = 0; i < 20_000; i++)
            {
                RegisterFile registers = TestEnclave.HostRegisters();
                if (!EEnter.Execute(enclave.Platform.Processor, logical, ref registers, enclave.Space).IsSuccess)
                {
                    continue;
                }

                shared |= Interlocked.Increment(ref inside) != 1;
                Interlocked.Increment(ref entries);
                Interlocked.Decrement(ref inside);
                registers.Rbx = 0;
                EExit.Execute(enclave.Platform.Processor, logical, ref registers);
            }
        }))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());

        Assert.False(shared);
        Assert.True(entries > 0);
        Assert.Equal(LeafResult.Ok, ERemove.Execute(enclave.Platform.Processor, enclave.TcsPage));
    }

    private static void Cross(TestEnclave enclave, int times)
    {
        for (int i = 0; i < times; i++)
        {
            RegisterFile registers = TestEnclave.HostRegisters();
            enclave.Enter(ref registers);
            registers.Rbx = 0;
            EExit.Execute(enclave.Platform.Processor, enclave.Logical, ref registers);
        }
    }
}
