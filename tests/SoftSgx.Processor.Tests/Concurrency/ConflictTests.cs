using SoftSgx.Architecture;

namespace SoftSgx.Processor.Tests.Concurrency;

/// <summary>
/// Leaves that conflict, conflict: what another leaf would hold is held by the test, and the leaf must say so at once, change nothing,
/// and succeed when it is free again. The expected results are those of the concurrency tables in the instruction reference.
/// </summary>
public sealed class ConflictTests
{
    private const string GP = "#GP(0)";
    private const string Conflict = nameof(SgxError.SGX_EPC_PAGE_CONFLICT);

    private readonly TestPlatform _platform = new(new ProcessorConfiguration { Sgx2 = true, Oversub = true });
    private readonly TestEnclave _built;
    private readonly TestEnclave _building;
    private readonly int _va;
    private readonly int _free;
    private readonly int _added;

    public ConflictTests()
    {
        _built = TestEnclave.Initialized(_platform, new EnclaveOptions { Flags = TestPlatform.Flags | AttributeFlags.DEBUG });
        _building = new TestEnclave(_platform);
        _va = _platform.NextPage();
        Assert.Equal(LeafResult.Ok, EPa.Execute(Processor, PageType.PT_VA, _va));
        _added = _platform.NextPage();
        Assert.Equal(LeafResult.Ok, EAug.Execute(Processor, null, AddedAddress, _built.SecsPage, _added));
        _built.Space.Map(AddedAddress, _added);
        _free = _platform.NextPage();
    }

    private static ulong AddedAddress => TestPlatform.Base + 0x2_0000;

    private SgxProcessor Processor => _platform.Processor;

    /// <summary>Leaf, what another leaf holds, and what the leaf must say.</summary>
    public static TheoryData<string, string, string> Conflicts => new()
    {
        { "ECREATE", "target", GP },
        { "EADD", "target", GP },
        { "EADD", "SECS", GP },
        { "EADD", "measurement", GP },
        { "EEXTEND", "target", GP },
        { "EEXTEND", "measurement", GP },
        { "EINIT", "SECS", GP },
        { "EINIT", "measurement", GP },
        { "EREMOVE", "target", GP },
        { "EREMOVE", "target shared", GP },
        { "EDBGRD", "target", GP },
        { "EDBGWR", "target", GP },
        { "ERDINFO", "target", Conflict },
        { "EPA", "target", GP },
        { "EBLOCK", "target", Conflict },
        { "EBLOCK", "tracking", nameof(SgxError.SGX_ENTRYEPOCH_LOCKED) },
        { "ETRACK", "SECS", GP },
        { "ETRACK", "tracking", GP },
        { "ETRACK", "tracking shared", GP },
        { "ETRACKC", "target", Conflict },
        { "ETRACKC", "tracking", Conflict },
        { "EWB", "target", GP },
        { "EWB", "target shared", GP },
        { "EWB", "VA", GP },
        { "ELDU", "target", GP },
        { "ELDU", "VA", GP },
        { "ELDU", "SECS", GP },
        { "ELDB", "target", GP },
        { "ELDB", "VA", GP },
        { "ELDB", "SECS", GP },
        { "ELDUC", "target", Conflict },
        { "ELDUC", "VA", Conflict },
        { "ELDUC", "SECS", Conflict },
        { "ELDBC", "target", Conflict },
        { "ELDBC", "VA", Conflict },
        { "ELDBC", "SECS", Conflict },
        { "EAUG", "target", GP },
        { "EAUG", "SECS", GP },
        { "EMODPR", "target", GP },
        { "EMODPR", "modifying", Conflict },
        { "EMODT", "target", Conflict },
        { "EMODT", "target shared", Conflict },
        { "EENTER", "target", GP },
        { "EACCEPT", "target", GP },
        { "EACCEPT", "modifying", GP },
        { "EMODPE", "modifying", GP },
        { "EACCEPTCOPY", "modifying", GP },
    };

    /// <summary>Pairs that the tables call concurrent or shared.</summary>
    public static TheoryData<string, string> Concurrent => new()
    {
        { "EADD", "SECS shared" },
        { "EINIT", "SECS shared" },
        { "EBLOCK", "target shared" },
        { "EBLOCK", "tracking shared" },
        { "EDBGRD", "target shared" },
        { "EDBGWR", "target shared" },
        { "ERDINFO", "target shared" },
        { "ETRACK", "SECS shared" },
        { "ETRACKC", "target shared" },
        { "EWB", "VA shared" },
        { "ELDU", "SECS shared" },
        { "ELDU", "VA shared" },
        { "EAUG", "SECS shared" },
        { "EMODPR", "target shared" },
        { "EENTER", "target shared" },
        { "EACCEPT", "target shared" },
        { "EMODPE", "target shared" },
        { "EACCEPTCOPY", "target shared" },
    };

    [Theory]
    [MemberData(nameof(Conflicts))]
    public void ConflictingLeavesConflict(string leaf, string held, string expected)
    {
        Func<LeafResult> execute = Prepare(leaf, out int target, out int secs);
        Action release = Hold(held, target, secs);
        string state = State();

        LeafResult result = execute();

        Assert.Equal(expected, result.ToString());
        Assert.Equal(state, State());
        release();
        Assert.Equal(LeafResult.Ok, execute());
        EpcmInvariants.Check(Processor, [_built.Logical, _building.Logical]);
    }

    [Theory]
    [MemberData(nameof(Concurrent))]
    public void ConcurrentLeavesDoNot(string leaf, string held)
    {
        Func<LeafResult> execute = Prepare(leaf, out int target, out int secs);
        Action release = Hold(held, target, secs);
        Assert.Equal(LeafResult.Ok, execute());
        release();
        EpcmInvariants.Check(Processor, [_built.Logical, _building.Logical]);
    }

    private Action Hold(string what, int target, int secs)
    {
        Epcm epcm = Processor.Epcm;
        EnclaveState enclave = Processor.StateOf(secs);
        switch (what)
        {
            case "target" or "SECS" or "VA":
                int exclusive = what == "target" ? target : what == "SECS" ? secs : _va;
                Assert.True(epcm.TryLockExclusive(exclusive));
                return () => epcm.UnlockExclusive(exclusive);

            case "target shared" or "SECS shared" or "VA shared":
                int shared = what.StartsWith("target", StringComparison.Ordinal) ? target : what.StartsWith("SECS", StringComparison.Ordinal) ? secs : _va;
                Assert.True(epcm.TryLockShared(shared));
                return () => epcm.UnlockShared(shared);

            case "measurement":
                Assert.True(enclave.TryBeginMeasuring());
                return enclave.EndMeasuring;

            case "tracking":
                Assert.True(enclave.TryUpdateTracking());
                return enclave.EndUpdateTracking;

            case "tracking shared":
                Assert.True(enclave.TryUseTracking());
                return enclave.EndUseTracking;

            default:
                Assert.True(epcm.TryBeginModifying(target));
                return () => epcm.EndModifying(target);
        }
    }

    /// <summary>Brings everything so far that the leaf would succeed.</summary>
    private Func<LeafResult> Prepare(string leaf, out int target, out int secs)
    {
        secs = _built.SecsPage;
        target = _free;
        int free = _free;
        switch (leaf)
        {
            case "ECREATE":
                return () => _platform.Create(TestPlatform.DefaultSecs(), free);

            case "EADD":
                secs = _building.SecsPage;
                return () => _platform.Add(_building.SecsPage, _building.LastAddress + 4096, new byte[4096], TestPlatform.RegInfo, free);

            case "EEXTEND":
                secs = _building.SecsPage;
                target = _building.DataPage;
                return () => EExtend.Execute(Processor, _building.SecsPage, _building.DataPage, 0);

            case "EINIT":
                secs = _building.SecsPage;
                target = secs;
                SigStruct sig = _building.Signed();
                return () => _platform.Init(_building.Logical, _building.SecsPage, in sig);

            case "EREMOVE":
                target = _built.LastPage;
                return () => ERemove.Execute(Processor, _built.LastPage);

            case "EDBGRD":
                target = _built.LastPage;
                return () => EDbgRd.Execute(Processor, _built.LastPage, 0, out _);

            case "EDBGWR":
                target = _built.LastPage;
                return () => EDbgWr.Execute(Processor, 1, _built.LastPage, 0);

            case "ERDINFO":
                target = _built.LastPage;
                RdInfo info = default;
                return () => ERdInfo.Execute(Processor, ref info, _built.LastPage);

            case "EPA":
                return () => EPa.Execute(Processor, PageType.PT_VA, free);

            case "EBLOCK":
                target = _built.LastPage;
                return () => EBlock.Execute(Processor, _built.LastPage);

            case "ETRACK":
                return () => ETrack.Execute(Processor, _built.SecsPage);

            case "ETRACKC":
                target = _built.LastPage;
                return () => ETrackC.Execute(Processor, _built.LastPage);

            case "EWB":
                target = _built.LastPage;
                Track(target);
                return () => Evict(_built.LastPage, out _, out _, out _);

            case "ELDU" or "ELDB" or "ELDUC" or "ELDBC":
                Track(_built.LastPage);
                Assert.Equal(LeafResult.Ok, Evict(_built.LastPage, out byte[] page, out Pcmd pcmd, out ulong address));
                int owner = secs;
                return leaf switch
                {
                    "ELDU" => () => ELdu.Execute(Processor, page, in pcmd, address, owner, free, _va, 0),
                    "ELDB" => () => ELdb.Execute(Processor, page, in pcmd, address, owner, free, _va, 0),
                    "ELDUC" => () => ELduc.Execute(Processor, page, in pcmd, address, owner, free, _va, 0),
                    _ => () => ELdbc.Execute(Processor, page, in pcmd, address, owner, free, _va, 0),
                };

            case "EAUG":
                return () => EAug.Execute(Processor, null, AddedAddress + 4096, _built.SecsPage, free);

            case "EMODPR":
                target = _built.LastPage;
                return () => EModPr.Execute(Processor, SecInfo.For(PageType.PT_REG, SecInfoFlags.R), _built.LastPage);

            case "EMODT":
                target = _built.LastPage;
                return () => EModT.Execute(Processor, SecInfo.For(PageType.PT_TRIM, 0), _built.LastPage);

            case "EENTER":
                target = _built.TcsPage;
                return () =>
                {
                    RegisterFile registers = TestEnclave.HostRegisters();
                    return _built.Enter(ref registers);
                };

            default:
                return PrepareDynamic(leaf, out target);
        }
    }

    private Func<LeafResult> PrepareDynamic(string leaf, out int target)
    {
        RegisterFile registers = _built.EnterOk();
        SecInfoFlags state = leaf == "EACCEPT" ? SecInfoFlags.PENDING : 0;
        SecInfo info = SecInfo.For(PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.W | state);
        System.Runtime.InteropServices.MemoryMarshal.Write(_built.Data, in info);
        registers.Rax = (ulong)Enum.Parse<EncluLeaf>(leaf);
        registers.Rbx = TestEnclave.DataAddress;
        registers.Rcx = leaf == "EMODPE" ? _built.LastAddress : AddedAddress;
        registers.Rdx = TestEnclave.DataAddress;
        target = leaf == "EMODPE" ? _built.LastPage : _added;
        return () =>
        {
            RegisterFile copy = registers;
            return _built.Enclu(ref copy);
        };
    }

    private void Track(int page)
    {
        Assert.Equal(LeafResult.Ok, EBlock.Execute(Processor, page));
        Assert.Equal(LeafResult.Ok, ETrack.Execute(Processor, _built.SecsPage));
    }

    private LeafResult Evict(int page, out byte[] ciphertext, out Pcmd pcmd, out ulong address)
    {
        ciphertext = new byte[4096];
        pcmd = default;
        address = 0;
        return EWb.Execute(Processor, ciphertext, ref pcmd, ref address, page, _va, 0);
    }

    /// <summary>All that software could see: the EPCM, and the contents of pages in use.</summary>
    private string State()
    {
        Epcm epcm = Processor.Epcm;
        HashCode contents = default;
        System.Text.StringBuilder text = new();
        for (int page = 0; page <= _free; page++)
        {
            if (!epcm.IsValid(page)) continue;
            contents.AddBytes(_platform.Frames.Frame(page));
            text.Append($"{page} {epcm.TypeOf(page)} {epcm.State(page)} {epcm.IsBlocked(page)} {epcm.EnclaveAddress(page):x} {epcm.EnclaveSecs(page)}\n");
        }

        return text.Append(contents.ToHashCode()).ToString();
    }
}
