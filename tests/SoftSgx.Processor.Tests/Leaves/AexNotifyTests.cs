using SoftSgx.Architecture;

namespace SoftSgx.Processor.Tests;

/// <summary>AEX-Notify: ERESUME that enters at the entry point, and EDECCSSA that goes back.</summary>
public class AexNotifyTests
{
    private const int XmmOffset = 160;

    private static readonly LeafResult s_gp = LeafResult.FromFault(Fault.GeneralProtection());
    private static readonly ProcessorConfiguration s_notify = new() { AexNotify = true, EDecCssa = true };
    private static readonly EnclaveOptions s_options = new()
    {
        Flags = TestPlatform.Flags | AttributeFlags.AEXNOTIFY,
        ConfigureTcs = tcs => tcs.Value.Flags = TcsFlags.AEXNOTIFY,
        NSsa = 2,
    };

    private readonly byte[] _xsave = new byte[XsaveLayout.Intel.MaximumSize];
    private readonly TestPlatform _platform = new(s_notify);

    private SgxProcessor Processor => _platform.Processor;

    [Fact]
    public void A_notified_thread_comes_in_by_the_entry_point_and_goes_back_by_edeccssa()
    {
        TestEnclave enclave = TestEnclave.Initialized(_platform, s_options);
        RegisterFile registers = Interrupted(enclave, notify: true);
        RegisterFile host = TestEnclave.HostRegisters();
        host.Rax = (ulong)EncluLeaf.ERESUME;
        host.Rdx = 0xDD;
        host.Rsp = 0x7FFE_5000;
        host.Rflags |= Rflags.TF | Rflags.CF;
        registers = host;
        _xsave.AsSpan(XmmOffset, 256).Fill(0xE5);
        byte[] before = _xsave.ToArray();

        Assert.Equal(LeafResult.Ok, Resume(enclave, ref registers));
        Assert.True(enclave.Logical.IsNotified);
        Assert.Equal(1UL, registers.Rax);
        Assert.Equal(TestPlatform.Base + TestEnclave.Entry, registers.Rip);
        Assert.Equal(host.Rip, registers.Rcx);
        Assert.Equal(host.Rbx, registers.Rbx);
        Assert.Equal(0xDDUL, registers.Rdx);
        Assert.Equal(TestPlatform.Base + TestEnclave.FsOffset, registers.FsBase);
        Assert.Equal(TestPlatform.Base + TestEnclave.GsOffset, registers.GsBase);
        Assert.Equal(0UL, registers.Rflags & Rflags.TF);
        Assert.NotEqual(0UL, registers.Rflags & Rflags.CF);
        Assert.Equal(before, _xsave);
        Assert.Equal(1u, enclave.Tcs.CSsa);
        Assert.Equal(enclave.SsaPages[1], enclave.Logical.GprPage);
        Assert.Equal(0x7FFE_5000UL, Gpr(enclave, 1).URsp);

        // What the enclave was doing lies in frame 0, untouched, and the next exit saves into it again.
        Assert.Equal(0x1515UL, Gpr(enclave, 0).R15);
        Assert.Equal(0x5A, _platform.Frames.Frame(enclave.SsaPages[0])[XmmOffset]);
        registers.Rax = (ulong)EncluLeaf.EDECCSSA;
        RegisterFile handler = registers;
        Assert.Equal(LeafResult.Ok, enclave.Enclu(ref registers));
        Assert.Equal(handler, registers);
        Assert.Equal(0u, enclave.Tcs.CSsa);
        Assert.Equal(enclave.SsaPages[0], enclave.Logical.GprPage);
        Assert.Equal(enclave.SsaPages[0], enclave.Logical.XsavePages[0]);
        registers.R15 = 0x2626;
        AsynchronousExit.Execute(Processor, enclave.Logical, ref registers, _xsave, ExitEvent.Interrupt);
        Assert.Equal(0x2626UL, Gpr(enclave, 0).R15);
        Assert.Equal(1u, enclave.Tcs.CSsa);
        Assert.Equal(1, Gpr(enclave, 0).AexNotify);
    }

    [Fact]
    public void A_thread_that_does_not_ask_is_resumed()
    {
        TestEnclave enclave = TestEnclave.Initialized(_platform, s_options);
        RegisterFile registers = Interrupted(enclave, notify: false);
        Gpr(enclave, 0).AexNotify = 0xFE;

        Assert.Equal(LeafResult.Ok, Resume(enclave, ref registers));
        Assert.Equal(0x1515UL, registers.R15);
        Assert.Equal(0xF1_0000UL, registers.FsBase);
        Assert.Equal(0x61_0000UL, registers.GsBase);
        Assert.Equal(0x5A, _xsave[XmmOffset]);
        Assert.Equal(0u, enclave.Tcs.CSsa);
    }

    [Fact]
    public void A_notification_needs_one_more_frame()
    {
        TestEnclave enclave = TestEnclave.Initialized(_platform, s_options with { NSsa = 1 });
        RegisterFile registers = Interrupted(enclave, notify: true);
        RegisterFile before = registers;

        Assert.Equal(s_gp, Resume(enclave, ref registers));
        Assert.Equal(before, registers);
        Assert.False(enclave.Logical.InEnclave);
    }

    [Fact]
    public void The_frame_of_the_notification_is_checked()
    {
        TestEnclave enclave = TestEnclave.Initialized(_platform, s_options);
        RegisterFile registers = Interrupted(enclave, notify: true);
        enclave.Space.Unmap(TestPlatform.Base + TestEnclave.SsaOffset + 4096);

        Assert.Equal(TestPlatform.Base + TestEnclave.SsaOffset + 4096, Resume(enclave, ref registers).Fault.Address);
        enclave.Space.Map(TestPlatform.Base + TestEnclave.SsaOffset + 4096, enclave.SsaPages[1]);
        enclave.Tcs.OEntry = 0x8000_0000_0000_0000;
        Assert.Equal(s_gp, Resume(enclave, ref registers));
        enclave.Tcs.OEntry = 0;
        Assert.Equal(LeafResult.Ok, Resume(enclave, ref registers));
    }

    [Theory]
    [InlineData(false, true, false, false)]
    [InlineData(true, false, false, false)]
    [InlineData(true, true, false, true)]
    [InlineData(false, false, false, true)]
    [InlineData(false, true, true, true)]
    [InlineData(true, false, true, true)]
    public void Thread_and_enclave_agree_unless_a_debugger_opted_in(bool enclaveIs, bool threadIs, bool optIn, bool enters)
    {
        AttributeFlags flags = TestPlatform.Flags | (enclaveIs ? AttributeFlags.AEXNOTIFY : AttributeFlags.None);
        TestEnclave enclave = TestEnclave.Initialized(_platform, s_options with { Flags = flags, ConfigureTcs = null });
        enclave.Tcs.Flags = (threadIs ? TcsFlags.AEXNOTIFY : TcsFlags.None) | (optIn ? TcsFlags.DBGOPTIN : TcsFlags.None);
        RegisterFile registers = TestEnclave.HostRegisters();

        Assert.Equal(enters ? LeafResult.Ok : s_gp, enclave.Enter(ref registers));
    }

    [Fact]
    public void Without_the_feature_neither_attribute_nor_flag_is_legal()
    {
        TestPlatform platform = new();
        Secs secs = TestPlatform.DefaultSecs(TestPlatform.Flags | AttributeFlags.AEXNOTIFY);
        Assert.Equal(s_gp, platform.Create(in secs, 200));
        TestEnclave enclave = TestEnclave.Initialized(platform);
        enclave.Tcs.Flags = TcsFlags.AEXNOTIFY | TcsFlags.DBGOPTIN;
        RegisterFile registers = TestEnclave.HostRegisters();
        Assert.Equal(s_gp, enclave.Enter(ref registers));
    }

    [Fact]
    public void Edeccssa_refuses_and_then_changes_nothing()
    {
        TestEnclave enclave = TestEnclave.Initialized(_platform, s_options);
        RegisterFile registers = TestEnclave.HostRegisters();
        Assert.Equal(s_gp, EDecCssa.Execute(Processor, enclave.Logical, ref registers, enclave.Space));
        registers = enclave.EnterOk();
        Assert.Equal(s_gp, EDecCssa.Execute(Processor, enclave.Logical, ref registers, enclave.Space));
        AsynchronousExit.Execute(Processor, enclave.Logical, ref registers, _xsave, ExitEvent.Interrupt);
        registers = enclave.EnterOk();
        Assert.Equal(1UL, registers.Rax);
        Assert.Equal(enclave.SsaPages[1], enclave.Logical.GprPage);

        enclave.Space.Unmap(TestPlatform.Base + TestEnclave.SsaOffset);
        LeafResult result = EDecCssa.Execute(Processor, enclave.Logical, ref registers, enclave.Space);
        Assert.Equal(TestPlatform.Base + TestEnclave.SsaOffset, result.Fault.Address);
        enclave.Space.Map(TestPlatform.Base + TestEnclave.SsaOffset, enclave.SsaPages[0]);
        Assert.Equal(LeafResult.Ok, EBlock.Execute(Processor, enclave.SsaPages[0]));
        Assert.Equal(ExceptionVector.PF, EDecCssa.Execute(Processor, enclave.Logical, ref registers, enclave.Space).Fault.Kind);
        Assert.Equal(enclave.SsaPages[1], enclave.Logical.GprPage);
        Assert.Equal(enclave.SsaPages[1], enclave.Logical.XsavePages[0]);
        Assert.Equal(1u, enclave.Tcs.CSsa);

        Assert.True(Processor.Epcm.TryLockExclusive(enclave.TcsPage));
        Assert.Equal(s_gp, EDecCssa.Execute(Processor, enclave.Logical, ref registers, enclave.Space));
        Processor.Epcm.UnlockExclusive(enclave.TcsPage);
    }

    private static ref GprSgx GprIn(Span<byte> frame) =>
        ref System.Runtime.InteropServices.MemoryMarshal.AsRef<GprSgx>(frame[(4096 - GprSgx.Size)..]);

    private ref GprSgx Gpr(TestEnclave enclave, int frame) => ref GprIn(_platform.Frames.Frame(enclave.SsaPages[frame]));

    private LeafResult Resume(TestEnclave enclave, ref RegisterFile registers) =>
        EResume.Execute(Processor, enclave.Logical, ref registers, enclave.Space, _xsave);

    /// <summary>Enters, works a little, with segments of its own, and is interrupted.</summary>
    private RegisterFile Interrupted(TestEnclave enclave, bool notify)
    {
        RegisterFile registers = enclave.EnterOk();
        registers.R15 = 0x1515;
        registers.FsBase = 0xF1_0000;
        registers.GsBase = 0x61_0000;
        Gpr(enclave, 0).AexNotify = notify ? GprSgx.AexNotifyEnabled : (byte)0;
        _xsave.AsSpan(XmmOffset, 256).Fill(0x5A);
        _xsave[512] = 7;
        AsynchronousExit.Execute(Processor, enclave.Logical, ref registers, _xsave, ExitEvent.Interrupt);
        return registers;
    }
}
