using SoftSgx.Architecture;

namespace SoftSgx.Processor.Tests;

/// <summary>ERESUME that a host does itself: what it is told beforehand, and what the model makes of being told afterwards.</summary>
public class ResumptionPointTests
{
    private const int XsaveBytes = 4096;

    [Fact]
    public void After_an_exit_it_is_the_frame_that_was_saved()
    {
        TestEnclave enclave = Interrupted();

        Assert.True(TryDescribe(enclave, out ResumptionPoint point));

        const ulong Frame = TestPlatform.Base + TestEnclave.SsaOffset;
        Assert.Equal(new ResumptionPoint(0, Frame + 4096 - GprSgx.Size, Frame, TestPlatform.Xfrm), point);
    }

    [Fact]
    public void There_is_none_without_a_saved_frame()
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform());

        Assert.False(TryDescribe(enclave, out _));
    }

    [Fact]
    public void There_is_none_while_somebody_is_inside()
    {
        TestEnclave enclave = Interrupted();
        enclave.EnterOk();

        Assert.False(ResumptionPoint.TryDescribe(enclave.Platform.Processor, new LogicalProcessor(), TestPlatform.Base, enclave.Space, out _));
    }

    [Fact]
    public void There_is_none_for_a_thread_that_opts_in_to_debugging()
    {
        TestEnclave enclave = Interrupted();
        enclave.Tcs.Flags |= TcsFlags.DBGOPTIN;

        Assert.False(TryDescribe(enclave, out _));
    }

    [Fact]
    public void There_is_none_if_the_frame_is_not_there()
    {
        TestEnclave enclave = Interrupted();
        enclave.Space.Unmap(TestPlatform.Base + TestEnclave.SsaOffset);

        Assert.False(TryDescribe(enclave, out _));
    }

    /// <summary>Afterwards all is as if the model had executed the leaf, but for the registers, which it did not load.</summary>
    [Fact]
    public void What_was_done_is_taken_note_of_whatever_the_frame_holds_by_now()
    {
        TestEnclave enclave = Interrupted();
        enclave.Platform.Frames.Frame(enclave.SsaPages[0]).Fill(0xFF); // no RIP, no XSAVE header that ERESUME would take
        RegisterFile registers = TestEnclave.HostRegisters() with { Rsp = 0x1234_0000, Rbp = 0x5678_0000, FsBase = 0xF000, GsBase = 0x6000 };
        RegisterFile before = registers;

        Assert.Equal(LeafResult.Ok, EResume.Adopt(enclave.Platform.Processor, enclave.Logical, registers, enclave.Space));

        Assert.Equal(before, registers);
        Assert.True(enclave.Logical.InEnclave);
        Assert.Equal((0u, Tcs.Active), (enclave.Tcs.CSsa, enclave.Tcs.State));
        Assert.Equal((0xF000UL, 0x6000UL, before.Rcx), (enclave.Logical.SavedFsBase, enclave.Logical.SavedGsBase, enclave.Logical.Aep));
        byte[] xsave = new byte[XsaveBytes];
        RegisterFile inside = default;
        AsynchronousExit.Execute(enclave.Platform.Processor, enclave.Logical, ref inside, xsave, ExitEvent.Interrupt);
        Assert.Equal((before.Rsp, before.Rbp, 1u), (inside.Rsp, inside.Rbp, enclave.Tcs.CSsa));
    }

    [Fact]
    public void Nothing_is_taken_note_of_that_cannot_have_been()
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform());

        Assert.Equal(LeafResult.GeneralProtection, EResume.Adopt(enclave.Platform.Processor, enclave.Logical, TestEnclave.HostRegisters(), enclave.Space));

        Assert.False(enclave.Logical.InEnclave);
        Assert.Equal(0u, enclave.Tcs.CSsa);
    }

    private static TestEnclave Interrupted()
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform());
        RegisterFile registers = enclave.EnterOk();
        byte[] xsave = new byte[XsaveBytes];
        AsynchronousExit.Execute(enclave.Platform.Processor, enclave.Logical, ref registers, xsave, ExitEvent.Interrupt);
        return enclave;
    }

    private static bool TryDescribe(TestEnclave enclave, out ResumptionPoint point) =>
        ResumptionPoint.TryDescribe(enclave.Platform.Processor, enclave.Logical, TestPlatform.Base, enclave.Space, out point);
}
