using SoftSgx.Architecture;

namespace SoftSgx.Processor.Tests;

/// <summary>ERDINFO, ETRACKC, ELDBC and ELDUC: conflicts are told, not faulted; and EUPDATESVN.</summary>
public class OversubTests
{
    private const ulong Physical = 0x2000_0000_0000;

    private static readonly LeafResult s_gp = LeafResult.FromFault(Fault.GeneralProtection());
    private static readonly LeafResult s_conflict = LeafResult.FromError(SgxError.SGX_EPC_PAGE_CONFLICT);

    private readonly TestPlatform _platform = new(new ProcessorConfiguration
    {
        Sgx2 = true,
        Oversub = true,
        EUpdateSvn = true,
        EpcSections = [new EpcSection(Physical, 4 * 4096), new EpcSection(2 * Physical, 252 * 4096)],
    });

    private SgxProcessor Processor => _platform.Processor;

    private Epcm Epcm => _platform.Processor.Epcm;

    [Fact]
    public void Erdinfo_tells_type_state_and_context()
    {
        _platform.NextPage();
        TestEnclave enclave = TestEnclave.Initialized(_platform);
        int array = Evicted.VersionArray(_platform);
        Assert.Equal(LeafResult.Ok, EBlock.Execute(Processor, enclave.DataPage));
        SecInfo readable = SecInfo.For(PageType.PT_REG, SecInfoFlags.R);
        Assert.Equal(LeafResult.Ok, EModPr.Execute(Processor, in readable, enclave.LastPage));

        ulong context = Physical + ((ulong)enclave.SecsPage << 12);
        Check(enclave.SecsPage, 0x000, context, RdInfoStatus.CHLDPRESENT);
        Check(enclave.TcsPage, 0x100, context);
        Check(enclave.DataPage, 0x8000_0000_0000_0203, context);
        Check(enclave.LastPage, 0x221, context);
        Check(array, 0x300, 0);
        Assert.Equal(2 * Physical, Processor.PhysicalAddress(4));
    }

    [Fact]
    public void Erdinfo_tells_of_what_it_cannot_tell()
    {
        TestEnclave enclave = TestEnclave.Initialized(_platform);
        RdInfo info = new() { EnclaveContext = 7 };

        Assert.Equal(LeafResult.FromInformation(SgxError.SGX_PG_NONEPC), ERdInfo.Execute(Processor, ref info, 256));
        Assert.Equal(LeafResult.FromInformation(SgxError.SGX_PG_INVLD), ERdInfo.Execute(Processor, ref info, 200));
        Assert.True(Epcm.TryLockExclusive(enclave.DataPage));
        Assert.Equal(s_conflict, ERdInfo.Execute(Processor, ref info, enclave.DataPage));
        Epcm.UnlockExclusive(enclave.DataPage);
        Assert.Equal(7UL, info.EnclaveContext);
    }

    [Fact]
    public void Etrackc_takes_any_page_of_the_enclave()
    {
        TestEnclave enclave = TestEnclave.Initialized(_platform);
        int array = Evicted.VersionArray(_platform);
        EnclaveState state = Processor.StateOf(enclave.SecsPage);

        Assert.Equal(ExceptionVector.PF, ETrackC.Execute(Processor, 256).Fault.Kind);
        Assert.Equal(LeafResult.FromError(SgxError.SGX_PG_INVLD), ETrackC.Execute(Processor, 200));
        Assert.Equal(LeafResult.FromInformation(SgxError.SGX_TRACK_NOT_REQUIRED), ETrackC.Execute(Processor, array));
        uint epoch = state.Epoch;
        foreach (int page in new[] { enclave.SecsPage, enclave.TcsPage, enclave.DataPage })
        {
            Assert.Equal(LeafResult.Ok, ETrackC.Execute(Processor, page));
            Assert.Equal(++epoch, state.Epoch);
            Assert.True(Epcm.TryLockExclusive(page));
            Assert.Equal(s_conflict, ETrackC.Execute(Processor, page));
            Epcm.UnlockExclusive(page);
        }

        Assert.True(state.TryUpdateTracking());
        Assert.Equal(s_conflict, ETrackC.Execute(Processor, enclave.DataPage));
        state.EndUpdateTracking();
        enclave.EnterOk();
        Assert.Equal(LeafResult.Ok, ETrackC.Execute(Processor, enclave.DataPage));
        Assert.Equal(LeafResult.FromError(SgxError.SGX_PREV_TRK_INCMPL), ETrackC.Execute(Processor, enclave.DataPage));
    }

    [Fact]
    public void Eldbc_and_elduc_load_and_tell_of_conflicts()
    {
        TestEnclave enclave = TestEnclave.Initialized(_platform);
        int array = Evicted.VersionArray(_platform);
        Evicted evicted = Evicted.Child(_platform, enclave.SecsPage, enclave.DataPage, array, 0);

        LeafResult Load(bool blocked) => blocked
            ? ELdbc.Execute(Processor, evicted.Contents, in evicted.Pcmd.Value, evicted.LinearAddress, enclave.SecsPage, 150, array, 0)
            : ELduc.Execute(Processor, evicted.Contents, in evicted.Pcmd.Value, evicted.LinearAddress, enclave.SecsPage, 150, array, 0);

        foreach (bool blocked in new[] { true, false })
        {
            foreach (int page in new[] { 150, array, enclave.SecsPage })
            {
                Assert.True(Epcm.TryLockExclusive(page));
                Assert.Equal(s_conflict, Load(blocked));
                Assert.Equal(s_gp, evicted.Load(_platform, enclave.SecsPage, 150));
                Epcm.UnlockExclusive(page);
            }

            Assert.Equal(LeafResult.Ok, Load(blocked));
            Assert.Equal(blocked, Epcm.IsBlocked(150));
            Assert.Equal(ExceptionVector.PF, Load(blocked).Fault.Kind);
            EBlock.Execute(Processor, 150);
            ETrack.Execute(Processor, enclave.SecsPage);
            evicted.LinearAddress = 0;
            Assert.Equal(LeafResult.Ok, evicted.Write(_platform, 150));
        }
    }

    [Fact]
    public void Eupdatesvn_takes_the_loaded_version_into_use_in_an_empty_epc()
    {
        byte[] newer = Processor.Secrets.CpuSvn.ToArray();
        newer[15] = 3;
        Assert.Equal(LeafResult.FromInformation(SgxError.SGX_NO_UPDATE), EUpdateSvn.Execute(Processor));
        Processor.Secrets.LoadMicrocode(newer);
        int array = Evicted.VersionArray(_platform);
        Assert.Equal(LeafResult.FromError(SgxError.SGX_EPC_NOT_READY), EUpdateSvn.Execute(Processor));
        Assert.Equal(LeafResult.Ok, ERemove.Execute(Processor, array));
        Assert.True(Epcm.TryLockShared(77));
        Assert.Equal(s_conflict, EUpdateSvn.Execute(Processor));
        Epcm.UnlockShared(77);
        Assert.NotEqual(3, Processor.Secrets.CpuSvn[15]);

        Assert.Equal(LeafResult.Ok, EUpdateSvn.Execute(Processor));
        Assert.Equal(newer, Processor.Secrets.CpuSvn.ToArray());
        Assert.Equal(LeafResult.FromInformation(SgxError.SGX_NO_UPDATE), EUpdateSvn.Execute(Processor));
        newer[0] = 0;
        newer[15] = 9;
        Processor.Secrets.LoadMicrocode(newer);
        Assert.Equal(LeafResult.FromInformation(SgxError.SGX_NO_UPDATE), EUpdateSvn.Execute(Processor));
        Assert.Equal(LeafResult.Ok, EPa.Execute(Processor, PageType.PT_VA, 0));
    }

    [Fact]
    public void Pages_evicted_before_eupdatesvn_never_come_back()
    {
        int array = Evicted.VersionArray(_platform);
        int first = Evicted.VersionArray(_platform);
        Evicted evicted = Evicted.Page(_platform, first, array, 0);
        byte[] slots = _platform.Frames.Frame(array).ToArray();
        Assert.Equal(LeafResult.Ok, ERemove.Execute(Processor, array));
        Assert.Equal(LeafResult.FromInformation(SgxError.SGX_NO_UPDATE), EUpdateSvn.Execute(Processor));
        Assert.Equal(LeafResult.Ok, EPa.Execute(Processor, PageType.PT_VA, array));
        slots.CopyTo(_platform.Frames.Frame(array));

        Assert.Equal(LeafResult.FromError(SgxError.SGX_MAC_COMPARE_FAIL), evicted.Load(_platform, -1, first));
    }

    private void Check(int page, ulong flags, ulong context, RdInfoStatus status = RdInfoStatus.None)
    {
        RdInfo info = new() { Status = (RdInfoStatus)5, Flags = (SecInfoFlags)5, EnclaveContext = 5 };
        Assert.Equal(LeafResult.Ok, ERdInfo.Execute(Processor, ref info, page));
        Assert.Equal(flags, (ulong)info.Flags);
        Assert.Equal(context, info.EnclaveContext);
        Assert.Equal(status, info.Status);
    }
}
