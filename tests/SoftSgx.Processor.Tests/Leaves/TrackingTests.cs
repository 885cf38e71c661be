using SoftSgx.Architecture;

namespace SoftSgx.Processor.Tests;

/// <summary>EBLOCK, ETRACK and the epochs in which logical processors entered: when a page may go.</summary>
public class TrackingTests
{
    private static readonly LeafResult s_notTracked = LeafResult.FromError(SgxError.SGX_NOT_TRACKED);
    private static readonly LeafResult s_incomplete = LeafResult.FromError(SgxError.SGX_PREV_TRK_INCMPL);

    private readonly TestPlatform _platform = new();
    private readonly TestEnclave _enclave;
    private readonly Evicted _evicted;

    public TrackingTests()
    {
        _enclave = TestEnclave.Initialized(_platform);
        _evicted = new Evicted { VaPage = Evicted.VersionArray(_platform) };
    }

    private SgxProcessor Processor => _platform.Processor;

    [Fact]
    public void Eblock_tells_what_cannot_be_blocked()
    {
        Assert.Equal(ExceptionVector.PF, EBlock.Execute(Processor, 256).Fault.Kind);
        Assert.Equal(LeafResult.FromError(SgxError.SGX_PG_INVLD), EBlock.Execute(Processor, 200));
        Assert.Equal(LeafResult.FromInformation(SgxError.SGX_PG_IS_SECS), EBlock.Execute(Processor, _enclave.SecsPage));
        Assert.Equal(LeafResult.FromInformation(SgxError.SGX_NOTBLOCKABLE), EBlock.Execute(Processor, _evicted.VaPage));
        Assert.Equal(LeafResult.Ok, EBlock.Execute(Processor, _enclave.DataPage));
        Assert.Equal(LeafResult.FromInformation(SgxError.SGX_BLKSTATE), EBlock.Execute(Processor, _enclave.DataPage));
        Assert.Equal(LeafResult.Ok, EBlock.Execute(Processor, _enclave.TcsPage));
        Assert.True(_platform.Processor.Epcm.IsBlocked(_enclave.TcsPage));
    }

    [Fact]
    public void Etrack_wants_a_secs()
    {
        Assert.Equal(256UL << 12, ETrack.Execute(Processor, 256).Fault.Address);
        Assert.Equal(ExceptionVector.PF, ETrack.Execute(Processor, 200).Fault.Kind);
        Assert.Equal(ExceptionVector.PF, ETrack.Execute(Processor, _enclave.DataPage).Fault.Kind);
        Assert.Equal(LeafResult.Ok, ETrack.Execute(Processor, _enclave.SecsPage));
        Assert.Equal(LeafResult.Ok, ETrack.Execute(Processor, _enclave.SecsPage));
    }

    [Fact]
    public void Nobody_enters_by_a_blocked_tcs_or_on_a_blocked_frame()
    {
        RegisterFile registers = TestEnclave.HostRegisters();
        Assert.Equal(LeafResult.Ok, EBlock.Execute(Processor, _enclave.SsaPages[0]));
        LeafResult result = _enclave.Enter(ref registers);
        Assert.Equal(TestPlatform.Base + TestEnclave.SsaOffset, result.Fault.Address);
        Assert.Equal(LeafResult.Ok, EBlock.Execute(Processor, _enclave.TcsPage));
        result = _enclave.Enter(ref registers);
        Assert.Equal(TestPlatform.Base, result.Fault.Address);
        Assert.NotEqual(0u, result.Fault.ErrorCode & (uint)PageFaultError.Sgx);
    }

    [Fact]
    public void A_page_waits_for_those_inside_when_it_was_blocked()
    {
        RegisterFile registers = _enclave.EnterOk();
        Block();
        Assert.Equal(s_notTracked, Write());
        Track(LeafResult.Ok);
        Assert.Equal(s_notTracked, Write());
        Track(s_incomplete);
        Leave(ref registers);
        Assert.Equal(LeafResult.Ok, Write());
        Track(LeafResult.Ok);
    }

    [Fact]
    public void A_page_does_not_wait_for_those_who_came_after_the_etrack()
    {
        Block();
        Track(LeafResult.Ok);
        _enclave.EnterOk();
        Assert.Equal(LeafResult.Ok, Write());
        Track(LeafResult.Ok);
        Track(s_incomplete);
    }

    [Fact]
    public void A_page_blocked_after_the_etrack_waits_for_the_next()
    {
        Track(LeafResult.Ok);
        Block();
        Assert.Equal(s_notTracked, Write());
        Track(LeafResult.Ok);
        Assert.Equal(LeafResult.Ok, Write());
    }

    [Fact]
    public void A_page_blocked_two_etracks_ago_waits_for_nobody()
    {
        Block();
        Track(LeafResult.Ok);
        _enclave.EnterOk();
        Track(LeafResult.Ok);
        Assert.Equal(LeafResult.Ok, Write());
        Track(s_incomplete);
    }

    [Fact]
    public void An_asynchronous_exit_ends_the_epoch_and_eresume_begins_in_the_new_one()
    {
        byte[] xsave = new byte[XsaveLayout.Intel.MaximumSize];
        RegisterFile registers = _enclave.EnterOk();
        Block();
        Track(LeafResult.Ok);
        AsynchronousExit.Execute(Processor, _enclave.Logical, ref registers, xsave, ExitEvent.Interrupt);
        Assert.Equal(LeafResult.Ok, EResume.Execute(Processor, _enclave.Logical, ref registers, _enclave.Space, xsave));
        Assert.Equal(LeafResult.Ok, Write());
        Track(LeafResult.Ok);
        Track(s_incomplete);
        AsynchronousExit.Abandon(Processor, _enclave.Logical);
        Track(LeafResult.Ok);
    }

    [Fact]
    public void An_entry_that_is_refused_counts_for_nothing()
    {
        RegisterFile registers = TestEnclave.HostRegisters();
        _enclave.Space.Unmap(TestPlatform.Base + TestEnclave.SsaOffset);
        Assert.Equal(ExceptionVector.PF, _enclave.Enter(ref registers).Fault.Kind);
        Track(LeafResult.Ok);
        Track(LeafResult.Ok);
        Assert.Equal(LeafResult.Ok, ERemove.Execute(Processor, _enclave.DataPage));
    }

    [Fact]
    public void Epochs_of_two_enclaves_are_their_own()
    {
        Secs secs = TestPlatform.DefaultSecs();
        int other = _platform.Create(in secs);
        _enclave.EnterOk();
        Block();
        Assert.Equal(LeafResult.Ok, ETrack.Execute(Processor, other));
        Assert.Equal(LeafResult.Ok, ETrack.Execute(Processor, other));
        Assert.Equal(s_notTracked, Write());
        Track(LeafResult.Ok);
        Assert.Equal(s_notTracked, Write());
    }

    [Fact]
    public void An_etrack_under_way_locks_the_entry_epoch()
    {
        EnclaveState enclave = Processor.StateOf(_enclave.SecsPage);
        Assert.True(enclave.TryUpdateTracking());
        Assert.Equal(LeafResult.FromError(SgxError.SGX_ENTRYEPOCH_LOCKED), EBlock.Execute(Processor, _enclave.DataPage));
        Assert.False(Processor.Epcm.IsBlocked(_enclave.DataPage));
        Assert.Equal(ExceptionVector.GP, ETrack.Execute(Processor, _enclave.SecsPage).Fault.Kind);
        Assert.Equal(ExceptionVector.GP, Write().Fault.Kind);
        enclave.EndUpdateTracking();

        Assert.True(enclave.TryUseTracking());
        Assert.Equal(ExceptionVector.GP, ETrack.Execute(Processor, _enclave.SecsPage).Fault.Kind);
        Assert.Equal(LeafResult.Ok, EBlock.Execute(Processor, _enclave.DataPage));
        enclave.EndUseTracking();
        Track(LeafResult.Ok);
        Assert.Equal(LeafResult.Ok, Write());
    }

    [Fact]
    public void The_number_of_an_epoch_may_wrap()
    {
        EntryEpochs epochs = default;
        uint old = epochs.LongAgo;
        Assert.Equal(uint.MaxValue - 1, old);
        Assert.True(epochs.IsOver(old));
        Assert.False(epochs.IsOver(epochs.Current));
        uint came = epochs.Enter();
        Assert.True(epochs.TryAdvance());
        Assert.False(epochs.IsOver(came));
        Assert.False(epochs.TryAdvance());
        Assert.Equal(1, epochs.Inside);
        uint cameLater = epochs.Enter();
        epochs.Leave(came);
        Assert.True(epochs.IsOver(came));
        Assert.Equal(1, epochs.Inside);
        epochs.Leave(cameLater);
        Assert.Equal(0, epochs.Inside);
        Assert.Equal(1u, epochs.Current);
    }

    [Fact]
    public void No_thread_holds_a_translation_of_a_page_that_was_evicted()
    {
        const int Evictions = 3_000;
        int holding = 0;
        bool done = false;
        int entries = 0;
        Thread worker = new(() =>
        {
            while (!Volatile.Read(ref done))
            {
                RegisterFile registers = _enclave.EnterOk();
                if (Processor.Epcm.IsAccessible(_enclave.DataPage))
                {
                    Volatile.Write(ref holding, 1);
                    Thread.SpinWait(20);
                    Volatile.Write(ref holding, 0);
                }

                Leave(ref registers);
                entries++;
            }
        })
        {
            IsBackground = true,
        };
        worker.Start();
        for (int i = 0; i < Evictions; i++)
        {
            Block();
            while (!ETrack.Execute(Processor, _enclave.SecsPage).IsSuccess) Thread.SpinWait(1);
            _evicted.LinearAddress = 0;
            LeafResult result = Write();
            while (!result.IsSuccess)
            {
                Assert.Equal(s_notTracked, result);
                result = Write();
            }

            Assert.Equal(0, Volatile.Read(ref holding));
            Assert.Equal(LeafResult.Ok, _evicted.Load(_platform, _enclave.SecsPage, _enclave.DataPage));
        }

        Volatile.Write(ref done, true);
        worker.Join();
        Assert.True(entries > 0);
        Assert.Equal(0, Processor.StateOf(_enclave.SecsPage).ThreadsInside);
    }

    private void Block() => Assert.Equal(LeafResult.Ok, EBlock.Execute(Processor, _enclave.DataPage));

    private void Track(LeafResult expected) => Assert.Equal(expected, ETrack.Execute(Processor, _enclave.SecsPage));

    private LeafResult Write() => _evicted.Write(_platform, _enclave.DataPage);

    private void Leave(ref RegisterFile registers)
    {
        registers.Rbx = 0x1000;
        Assert.Equal(LeafResult.Ok, EExit.Execute(Processor, _enclave.Logical, ref registers));
    }
}
