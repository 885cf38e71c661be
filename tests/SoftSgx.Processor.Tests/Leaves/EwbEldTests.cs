using SoftSgx.Architecture;

namespace SoftSgx.Processor.Tests;

/// <summary>EPA, EWB, ELDB and ELDU: pages go and come back, and only the ones that they are.</summary>
public class EwbEldTests
{
    private static readonly LeafResult s_gp = LeafResult.FromFault(Fault.GeneralProtection());
    private static readonly LeafResult s_stale = LeafResult.FromError(SgxError.SGX_MAC_COMPARE_FAIL);

    private readonly TestPlatform _platform = new();
    private readonly TestEnclave _enclave;
    private readonly int _array;

    public EwbEldTests()
    {
        _enclave = TestEnclave.Initialized(_platform);
        _array = Evicted.VersionArray(_platform);
    }

    private SgxProcessor Processor => _platform.Processor;

    private Epcm Epcm => _platform.Processor.Epcm;

    [Fact]
    public void A_version_array_is_a_page_of_empty_slots()
    {
        _platform.Frames.Frame(100).Fill(0xFF);

        Assert.Equal(s_gp, EPa.Execute(Processor, PageType.PT_REG, 100));
        Assert.Equal(ExceptionVector.PF, EPa.Execute(Processor, PageType.PT_VA, 256).Fault.Kind);
        Assert.Equal(s_gp, EPa.Execute(Processor, PageType.PT_REG, 256));
        Assert.Equal(LeafResult.Ok, EPa.Execute(Processor, PageType.PT_VA, 100));
        Assert.True(Bytes.IsZero(_platform.Frames.Frame(100)));
        Assert.Equal(PageType.PT_VA, Epcm.TypeOf(100));
        Assert.Equal(ExceptionVector.PF, EPa.Execute(Processor, PageType.PT_VA, 100).Fault.Kind);
        Assert.Equal(LeafResult.Ok, ERemove.Execute(Processor, 100));
    }

    [Fact]
    public void A_page_goes_and_comes_back_elsewhere_as_it_was()
    {
        _enclave.Data.Fill(0x5A);
        Evicted evicted = EvictData(16);

        Assert.False(Epcm.IsValid(_enclave.DataPage));
        Assert.Equal(TestEnclave.DataAddress, evicted.LinearAddress);
        Assert.Equal(1UL, evicted.Pcmd.Value.EnclaveId);
        Assert.DoesNotContain(evicted.Contents, b => evicted.Contents.Count(c => c == b) > 100);
        Assert.Equal(LeafResult.Ok, evicted.Load(_platform, _enclave.SecsPage, 150));
        Assert.Equal(PageType.PT_REG, Epcm.TypeOf(150));
        Assert.Equal(SecInfoFlags.R | SecInfoFlags.W, Epcm.Permissions(150));
        Assert.Equal(TestEnclave.DataAddress, Epcm.EnclaveAddress(150));
        Assert.Equal(_enclave.SecsPage, Epcm.EnclaveSecs(150));
        Assert.False(Epcm.IsBlocked(150));
        Assert.Equal(-1, _platform.Frames.Frame(150).IndexOfAnyExcept((byte)0x5A));
        Assert.True(Bytes.IsZero(_platform.Frames.Frame(_array)));
    }

    [Fact]
    public void Eldb_leaves_the_page_blocked_and_to_be_tracked()
    {
        Evicted evicted = EvictData(0);

        Assert.Equal(LeafResult.Ok, evicted.LoadBlocked(_platform, _enclave.SecsPage, 150));
        Assert.True(Epcm.IsBlocked(150));
        Assert.Equal(LeafResult.FromInformation(SgxError.SGX_BLKSTATE), EBlock.Execute(Processor, 150));
        evicted.LinearAddress = 0;
        Assert.Equal(LeafResult.FromError(SgxError.SGX_NOT_TRACKED), evicted.Write(_platform, 150));
        Assert.Equal(LeafResult.Ok, ETrack.Execute(Processor, _enclave.SecsPage));
        Assert.Equal(LeafResult.Ok, evicted.Write(_platform, 150));
        Assert.Equal(LeafResult.Ok, evicted.Load(_platform, _enclave.SecsPage, 150));
        Assert.False(Epcm.IsBlocked(150));
    }

    [Fact]
    public void A_whole_enclave_goes_and_comes_back_and_runs()
    {
        _enclave.Data.Fill(0x77);
        int second = Evicted.VersionArray(_platform);
        int[] pages = [_enclave.TcsPage, _enclave.DataPage, .. _enclave.SsaPages, _enclave.LastPage];
        List<Evicted> evicted = [];
        for (int i = 0; i < pages.Length; i++)
        {
            evicted.Add(Evicted.Child(_platform, _enclave.SecsPage, pages[i], _array, i * 8));
        }

        Evicted secs = Evicted.Page(_platform, _enclave.SecsPage, _array, 4088);
        Evicted array = Evicted.Page(_platform, _array, second, 0);
        Assert.Equal(1UL, secs.Pcmd.Value.EnclaveId);
        Assert.Equal(0UL, secs.LinearAddress);
        Assert.Equal(0UL, array.Pcmd.Value.EnclaveId);

        Assert.Equal(LeafResult.Ok, array.Load(_platform, -1, 160));
        secs.VaPage = 160;
        Assert.Equal(LeafResult.Ok, secs.Load(_platform, -1, 161));
        for (int i = 0; i < pages.Length; i++)
        {
            evicted[i].VaPage = 160;
            Assert.Equal(LeafResult.Ok, evicted[i].Load(_platform, 161, 170 + i));
            _enclave.Space.Map(evicted[i].LinearAddress, 170 + i);
        }

        RegisterFile registers = _enclave.EnterOk();
        Assert.Equal(161, _enclave.Logical.ActiveSecs);
        Assert.Equal(TestPlatform.Base + TestEnclave.Entry, registers.Rip);
        registers.Rbx = 0x1000;
        Assert.Equal(LeafResult.Ok, EExit.Execute(Processor, _enclave.Logical, ref registers));
        Assert.Equal(-1, _platform.Frames.Frame(171).IndexOfAnyExcept((byte)0x77));
        Assert.Equal(LeafResult.FromError(SgxError.SGX_CHILD_PRESENT), ERemove.Execute(Processor, 161));
        for (int i = 0; i < pages.Length; i++)
        {
            Assert.Equal(LeafResult.Ok, ERemove.Execute(Processor, 170 + i));
        }

        Assert.Equal(LeafResult.Ok, ERemove.Execute(Processor, 161));
    }

    [Fact]
    public void An_enclave_under_construction_goes_on_after_its_secs_was_away()
    {
        TestPlatform platform = new();
        TestSigner signer = TestSigner.First;
        Secs secs = TestPlatform.DefaultSecs();
        int secsPage = platform.Create(in secs);
        int array = Evicted.VersionArray(platform);
        Evicted evicted = Evicted.Page(platform, secsPage, array, 0);
        Assert.Equal(LeafResult.Ok, evicted.Load(platform, -1, 50));
        byte[] contents = new byte[4096];
        Assert.Equal(LeafResult.Ok, platform.Add(50, TestPlatform.Base, contents, TestPlatform.RegInfo, 51));
        platform.ExtendAll(50, 51);
        MeasurementLog log = new();
        log.Create(1, TestPlatform.Size);
        log.Add(0, (ulong)TestPlatform.RegInfo.Flags).Extend(0, contents);
        SigStruct sig = TestSigner.Template(log.Digest(), secs.Attributes);
        signer.Sign(ref sig);

        Assert.Equal(LeafResult.Ok, platform.Init(new LogicalProcessor { LePubKeyHash = signer.MrSigner }, 50, in sig));
    }

    [Fact]
    public void Each_changed_bit_of_the_contents_is_noticed()
    {
        Evicted evicted = EvictData(0);
        for (int bit = 0; bit < 4096 * 8; bit += bit < 256 ? 1 : 61)
        {
            evicted.Contents[bit / 8] ^= (byte)(1 << (bit % 8));
            Assert.Equal(s_stale, evicted.Load(_platform, _enclave.SecsPage, 150));
            evicted.Contents[bit / 8] ^= (byte)(1 << (bit % 8));
        }

        Assert.False(Epcm.IsValid(150));
        Assert.True(Bytes.IsZero(_platform.Frames.Frame(150)));
        Assert.Equal(LeafResult.Ok, evicted.Load(_platform, _enclave.SecsPage, 150));
    }

    [Fact]
    public void Each_changed_bit_of_pcmd_is_noticed_but_of_the_handle_for_software()
    {
        for (int bit = 0; bit < Pcmd.Size * 8; bit++)
        {
            Evicted evicted = EvictData(0);
            Bytes.Writable(ref evicted.Pcmd.Value)[bit / 8] ^= (byte)(1 << (bit % 8));
            LeafResult result = evicted.Load(_platform, _enclave.SecsPage, _enclave.DataPage);

            // ENCLAVEID tells software which enclave the page is of; the processor takes the EID from the SECS.
            bool isHandle = bit / 8 is >= 64 and < 72;
            Assert.Equal(isHandle ? LeafResult.Ok : s_stale, result);
            Bytes.Writable(ref evicted.Pcmd.Value)[bit / 8] ^= (byte)(1 << (bit % 8));
            if (!isHandle)
            {
                Assert.Equal(LeafResult.Ok, evicted.Load(_platform, _enclave.SecsPage, _enclave.DataPage));
            }
        }
    }

    [Fact]
    public void Each_changed_bit_of_the_linear_address_is_noticed()
    {
        Evicted evicted = EvictData(0);
        for (int bit = 0; bit < 64; bit++)
        {
            evicted.LinearAddress ^= 1UL << bit;
            Assert.Equal(s_stale, evicted.Load(_platform, _enclave.SecsPage, 150));
            evicted.LinearAddress ^= 1UL << bit;
        }

        Assert.Equal(LeafResult.Ok, evicted.Load(_platform, _enclave.SecsPage, 150));
    }

    [Fact]
    public void Swapped_pages_are_noticed()
    {
        Evicted data = EvictData(0);
        Evicted last = Evicted.Child(_platform, _enclave.SecsPage, _enclave.LastPage, _array, 8);
        (data.VaOffset, last.VaOffset) = (last.VaOffset, data.VaOffset);
        Assert.Equal(s_stale, data.Load(_platform, _enclave.SecsPage, 150));
        (data.VaOffset, last.VaOffset) = (last.VaOffset, data.VaOffset);
        (data.LinearAddress, last.LinearAddress) = (last.LinearAddress, data.LinearAddress);
        Assert.Equal(s_stale, data.Load(_platform, _enclave.SecsPage, 150));
        (data.LinearAddress, last.LinearAddress) = (last.LinearAddress, data.LinearAddress);
        (data.Pcmd.Value, last.Pcmd.Value) = (last.Pcmd.Value, data.Pcmd.Value);
        Assert.Equal(s_stale, data.Load(_platform, _enclave.SecsPage, 150));
        (data.Pcmd.Value, last.Pcmd.Value) = (last.Pcmd.Value, data.Pcmd.Value);
        Assert.Equal(LeafResult.Ok, data.Load(_platform, _enclave.SecsPage, 150));
        Assert.Equal(LeafResult.Ok, last.Load(_platform, _enclave.SecsPage, 151));
    }

    [Fact]
    public void An_older_copy_is_noticed()
    {
        Evicted older = EvictData(0).Copy();
        Assert.Equal(LeafResult.Ok, older.Load(_platform, _enclave.SecsPage, _enclave.DataPage));
        _enclave.Data.Fill(0x99);
        Evicted newer = EvictData(0);

        Assert.Equal(s_stale, older.Load(_platform, _enclave.SecsPage, _enclave.DataPage));
        Assert.Equal(LeafResult.Ok, newer.Load(_platform, _enclave.SecsPage, _enclave.DataPage));
        Assert.Equal(0x99, _enclave.Data[0]);
    }

    [Fact]
    public void A_page_is_loaded_once()
    {
        Evicted evicted = EvictData(0);

        Assert.Equal(LeafResult.Ok, evicted.Load(_platform, _enclave.SecsPage, 150));
        Assert.Equal(s_stale, evicted.Load(_platform, _enclave.SecsPage, 151));
        Assert.Equal(s_stale, evicted.LoadBlocked(_platform, _enclave.SecsPage, 151));
    }

    [Fact]
    public void A_slot_in_use_loses_the_page_that_it_belonged_to()
    {
        Evicted lost = EvictData(0);
        Assert.Equal(LeafResult.Ok, EBlock.Execute(Processor, _enclave.LastPage));
        Assert.Equal(LeafResult.Ok, ETrack.Execute(Processor, _enclave.SecsPage));
        Evicted kept = new() { VaPage = _array, VaOffset = 0 };

        LeafResult result = kept.Write(_platform, _enclave.LastPage);

        Assert.Equal(LeafResult.FromInformation(SgxError.SGX_VA_SLOT_OCCUPIED), result);
        Assert.True(result.Carry);
        Assert.False(Epcm.IsValid(_enclave.LastPage));
        Assert.Equal(s_stale, lost.Load(_platform, _enclave.SecsPage, 150));
        Assert.Equal(LeafResult.Ok, kept.Load(_platform, _enclave.SecsPage, 150));
    }

    [Fact]
    public void Another_enclaves_secs_and_another_processor_are_noticed()
    {
        Evicted evicted = EvictData(0);
        Secs secs = TestPlatform.DefaultSecs();
        int stranger = _platform.Create(in secs);
        Assert.Equal(s_stale, evicted.Load(_platform, stranger, 150));
        Assert.Equal(ExceptionVector.PF, evicted.Load(_platform, _enclave.TcsPage, 150).Fault.Kind);
        Assert.Equal(ExceptionVector.PF, evicted.Load(_platform, 200, 150).Fault.Kind);
        Assert.Equal(ExceptionVector.PF, evicted.Load(_platform, 999, 150).Fault.Kind);

        TestPlatform restarted = new();
        TestEnclave same = TestEnclave.Initialized(restarted);
        int array = Evicted.VersionArray(restarted);
        Evicted there = Evicted.Child(restarted, same.SecsPage, same.DataPage, array, 0);
        evicted.VaPage = array;
        Assert.Equal(s_stale, evicted.Load(restarted, same.SecsPage, 150));
        Assert.Equal(LeafResult.Ok, there.Load(restarted, same.SecsPage, 150));
    }

    [Fact]
    public void A_page_that_eremove_took_away_and_its_array_do_not_come_back()
    {
        Evicted evicted = EvictData(0);
        Assert.Equal(LeafResult.Ok, ERemove.Execute(Processor, _array));
        Assert.Equal(ExceptionVector.PF, evicted.Load(_platform, _enclave.SecsPage, 150).Fault.Kind);
        Assert.Equal(LeafResult.Ok, EPa.Execute(Processor, PageType.PT_VA, _array));
        Assert.Equal(s_stale, evicted.Load(_platform, _enclave.SecsPage, 150));
    }

    [Fact]
    public void Checks_of_ewb_come_in_the_manuals_order()
    {
        Evicted evicted = new() { VaPage = 999, VaOffset = 4, LinearAddress = 1 };
        int unused = 200;

        Assert.Equal(ExceptionVector.PF, evicted.Write(_platform, 999).Fault.Kind);
        Assert.Equal(s_gp, evicted.Write(_platform, unused));
        evicted.VaOffset = 4096;
        Assert.Equal(s_gp, evicted.Write(_platform, unused));
        evicted.VaOffset = -8;
        Assert.Equal(s_gp, evicted.Write(_platform, unused));
        evicted.VaOffset = 8;
        LeafResult noArray = evicted.Write(_platform, unused);
        Assert.Equal(999UL << 12, noArray.Fault.Address);
        evicted.VaPage = unused;
        Assert.Equal(s_gp, evicted.Write(_platform, unused));
        evicted.VaPage = _enclave.DataPage;
        Assert.Equal(s_gp, evicted.Write(_platform, unused));
        evicted.LinearAddress = 0;
        Assert.Equal((ulong)unused << 12, evicted.Write(_platform, unused).Fault.Address);
        Assert.Equal((ulong)_enclave.DataPage << 12, evicted.Write(_platform, _enclave.LastPage).Fault.Address);
        evicted.VaPage = _array;
        Assert.Equal(LeafResult.FromError(SgxError.SGX_PAGE_NOT_BLOCKED), evicted.Write(_platform, _enclave.LastPage));
        Assert.Equal(LeafResult.FromError(SgxError.SGX_CHILD_PRESENT), evicted.Write(_platform, _enclave.SecsPage));
        EBlock.Execute(Processor, _enclave.LastPage);
        Assert.Equal(LeafResult.FromError(SgxError.SGX_NOT_TRACKED), evicted.Write(_platform, _enclave.LastPage));
        Assert.True(Bytes.IsZero(evicted.Contents));
        Assert.True(Bytes.IsZero(_platform.Frames.Frame(_array)));
    }

    [Fact]
    public void Checks_of_eldu_come_in_the_manuals_order()
    {
        Evicted evicted = EvictData(8);
        int valid = _enclave.LastPage;
        int free = 200;
        evicted.VaOffset = 4;
        evicted.VaPage = 999;

        Assert.Equal(999UL << 12, evicted.Load(_platform, 999, 999).Fault.Address);
        Assert.Equal(s_gp, evicted.Load(_platform, 999, valid));
        evicted.VaOffset = 4096;
        Assert.Equal(s_gp, evicted.Load(_platform, 999, valid));
        evicted.VaOffset = 8;
        Assert.Equal(999UL << 12, evicted.Load(_platform, 998, valid).Fault.Address);
        evicted.VaPage = free;
        Assert.Equal((ulong)valid << 12, evicted.Load(_platform, 998, valid).Fault.Address);
        Assert.Equal(s_gp, evicted.Load(_platform, 998, free));
        evicted.VaPage = _enclave.SecsPage;
        Assert.Equal((ulong)_enclave.SecsPage << 12, evicted.Load(_platform, 998, free).Fault.Address);
        evicted.VaPage = _array;
        Assert.Equal(998UL << 12, evicted.Load(_platform, 998, free).Fault.Address);
        Assert.Equal((ulong)_array << 12, evicted.Load(_platform, _array, free).Fault.Address);
        Assert.Equal(LeafResult.Ok, evicted.Load(_platform, _enclave.SecsPage, free));
    }

    [Fact]
    public void Leaves_conflict_where_the_manual_says()
    {
        Dictionary<string, LeafResult> seen = [];
        Assert.Equal(LeafResult.Ok, EBlock.Execute(Processor, _enclave.DataPage));
        Assert.Equal(LeafResult.Ok, ETrack.Execute(Processor, _enclave.SecsPage));
        Evicted evicted = new() { VaPage = _array };
        Evicted other = new() { VaPage = _array, VaOffset = 8 };

        // In the middle of EWB: its page is taken exclusively, the version array is shared, the SECS is free.
        _platform.Frames.OnAccess = accessed =>
        {
            if (accessed == _enclave.DataPage)
            {
                _platform.Frames.OnAccess = null;
                seen["write"] = other.Write(_platform, _enclave.DataPage);
                seen["block"] = EBlock.Execute(Processor, _enclave.DataPage);
                seen["remove"] = ERemove.Execute(Processor, _enclave.DataPage);
                seen["read"] = EDbgRd.Execute(Processor, _enclave.DataPage, 0, out _);
                seen["remove array"] = ERemove.Execute(Processor, _array);
                seen["track"] = ETrack.Execute(Processor, _enclave.SecsPage);
            }
        };
        Assert.Equal(LeafResult.Ok, evicted.Write(_platform, _enclave.DataPage));
        Assert.Equal(s_gp, seen["write"]);
        Assert.Equal(LeafResult.FromError(SgxError.SGX_EPC_PAGE_CONFLICT), seen["block"]);
        Assert.Equal(s_gp, seen["remove"]);
        Assert.Equal(s_gp, seen["read"]);
        Assert.Equal(s_gp, seen["remove array"]);
        Assert.Equal(LeafResult.Ok, seen["track"]);

        // In the middle of ELDU: its page is taken exclusively, version array and SECS are shared.
        _platform.Frames.OnAccess = accessed =>
        {
            if (accessed == 150)
            {
                _platform.Frames.OnAccess = null;
                seen["load here"] = evicted.Load(_platform, _enclave.SecsPage, 150);
                seen["load elsewhere"] = evicted.Load(_platform, _enclave.SecsPage, 151);
                seen["remove secs"] = ERemove.Execute(Processor, _enclave.SecsPage);
            }
        };

        // The one inside comes first and empties the slot.
        Assert.Equal(s_gp, evicted.Load(_platform, _enclave.SecsPage, 150));
        Assert.Equal(s_gp, seen["load here"]);
        Assert.Equal(LeafResult.Ok, seen["load elsewhere"]);
        Assert.Equal(s_gp, seen["remove secs"]);
        Assert.False(Epcm.IsValid(150));
        Assert.True(Epcm.IsValid(151));
        Assert.Equal(LeafResult.Ok, ERemove.Execute(Processor, 151));
        Assert.Equal(LeafResult.Ok, ERemove.Execute(Processor, _array));
    }

    [Fact]
    public void Paging_allocates_nothing()
    {
        Evicted evicted = new() { VaPage = _array };
        void Cycle()
        {
            for (int i = 0; i < 100; i++)
            {
                evicted.LinearAddress = 0;
                EBlock.Execute(Processor, _enclave.DataPage);
                ETrack.Execute(Processor, _enclave.SecsPage);
                evicted.Write(_platform, _enclave.DataPage);
                evicted.Load(_platform, _enclave.SecsPage, _enclave.DataPage);
            }
        }

        Assert.Equal(0, SoftSgx.Tests.Allocations.Of(Cycle));
        Assert.True(Epcm.IsValid(_enclave.DataPage));
    }

    private Evicted EvictData(int vaOffset) => Evicted.Child(_platform, _enclave.SecsPage, _enclave.DataPage, _array, vaOffset);
}
