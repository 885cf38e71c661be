using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using SoftSgx.Architecture;
using Xunit.Abstractions;

namespace SoftSgx.Processor.Tests.Concurrency;

/// <summary>
/// Real threads execute mixed leaves on one processor; they meet from time to time, and then <see cref="EpcmInvariants"/> must hold.
/// SOFTSGX_SOAK=1 makes it two million leaves.
/// </summary>
public sealed class StressTests(ITestOutputHelper output)
{
    private const int ThreadCount = 4;
    private const int LeavesBetweenChecks = 2_000;

    [Fact]
    public void InvariantsHold() => Run(leaves: 100_000);

    [Differential.SoakFact]
    public void InvariantsHoldForTwoMillionLeaves()
    {
        ConcurrentDictionary<string, int> outcomes = Run(leaves: 2_000_000);
        foreach ((string outcome, int count) in outcomes.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            output.WriteLine($"{count,9:N0} {outcome}");
        }
    }

    private static ConcurrentDictionary<string, int> Run(int leaves)
    {
        StressPlatform platform = new();
        StressThread[] workers = [.. Enumerable.Range(0, ThreadCount).Select(index => new StressThread(platform, index))];
        ConcurrentQueue<Exception> failures = [];
        LogicalProcessor[] logicals = [.. workers.Select(worker => worker.Logical)];
        int rounds = leaves / ThreadCount / LeavesBetweenChecks;
        using Barrier barrier = new(ThreadCount, _ => Try(failures, () => EpcmInvariants.Check(platform.Processor, logicals)));
        Thread[] threads = [.. workers.Select(worker => new Thread(() =>
        {
            for (int round = 0; round < rounds; round++)
            {
                Try(failures, () => worker.Execute(LeavesBetweenChecks));
                barrier.SignalAndWait();
                if (!failures.IsEmpty) return;
            }
        }))];
        foreach (Thread thread in threads) thread.Start();
        foreach (Thread thread in threads) thread.Join();

        Assert.Empty(failures);
        Assert.True(platform.Outcomes.Keys.Count(key => key.EndsWith("success", StringComparison.Ordinal)) >= 25, "too few kinds of leaves succeeded");
        return platform.Outcomes;
    }

    private static void Try(ConcurrentQueue<Exception> failures, Action action)
    {
        try
        {
            action();
        }
        catch (Exception e)
        {
            failures.Enqueue(e);
        }
    }
}

/// <summary>The shared part: a processor, page tables without locks, evicted pages, and a SIGSTRUCT that fits every enclave.</summary>
internal sealed class StressPlatform : ILinearAddressSpace
{
    public const int Pages = 48;
    public const ulong Base = 0x7000_0000;
    public const ulong EnclaveSize = 0x10000;
    public const int EnclaveRanges = 3;
    private const ulong PageSize = 4096;
    private const int PagesPerEnclave = (int)(EnclaveSize / PageSize);
    private readonly int[] _map = [.. Enumerable.Repeat(-1, EnclaveRanges * PagesPerEnclave)];

    public StressPlatform()
    {
        ProcessorConfiguration configuration = new() { Sgx2 = true, Oversub = true, EDecCssa = true };
        Processor = new SgxProcessor(configuration, PlatformSecrets.FromSeed("stress"u8), Pages, Frames);
        SigStruct sig = TestSigner.Template(StressThread.Measurement(), StressThread.NewSecs(0).Attributes);
        TestSigner.First.Sign(ref sig);
        Signature = sig;
    }

    public ArrayFrames Frames { get; } = new(Pages);

    public SgxProcessor Processor { get; }

    public SigStruct Signature { get; }

    public ConcurrentDictionary<string, int> Outcomes { get; } = [];

    public ConcurrentQueue<EvictedCopy> Evicted { get; } = [];

    public void Map(ulong address, int page) => Volatile.Write(ref _map[Index(address)], page);

    public bool TryTranslate(ulong address, AccessKind access, out int epcPage, out PageFaultError faultError)
    {
        int index = Index(address);
        epcPage = (uint)index < (uint)_map.Length ? Volatile.Read(ref _map[index]) : -1;
        faultError = PageFaultError.User | (access == AccessKind.Write ? PageFaultError.Write : 0);
        return epcPage >= 0;
    }

    private static int Index(ulong address) => (int)Math.Min((address - Base) / PageSize, int.MaxValue);
}

/// <summary>What EWB wrote. It can be loaded once, however many threads try.</summary>
internal sealed class EvictedCopy(byte[] ciphertext, Pcmd pcmd, ulong address, int secsPage, int vaPage, int vaOffset)
{
    private int _loads;

    public byte[] Ciphertext => ciphertext;

    public Pcmd Pcmd = pcmd;

    public ulong Address => address;

    public int SecsPage => secsPage;

    public int VaPage => vaPage;

    public int VaOffset => vaOffset;

    public void Loaded() => Assert.Equal(1, Interlocked.Increment(ref _loads));
}

/// <summary>One thread with its logical processor and its own random numbers.</summary>
internal sealed class StressThread(StressPlatform platform, int index)
{
    private const ulong PageSize = 4096;
    private const ulong DataOffset = 2 * PageSize;
    private const ulong SsaOffset = 4 * PageSize;
    private static readonly byte[] s_tcs = NewTcs();
    private static readonly byte[] s_data = NewData();
    private readonly Random _random = new(index + 1);
    private readonly byte[] _xsave = new byte[1024];
    private RegisterFile _registers;

    public LogicalProcessor Logical { get; } = new() { LePubKeyHash = TestSigner.First.MrSigner };

    private SgxProcessor Processor => platform.Processor;

    private Epcm Epcm => platform.Processor.Epcm;

    public static Secs NewSecs(int range)
    {
        Secs secs = default;
        secs.EnclaveSize = StressPlatform.EnclaveSize;
        secs.BaseAddress = StressPlatform.Base + ((ulong)range * StressPlatform.EnclaveSize);
        secs.SsaFrameSize = 1;
        secs.Attributes = new SgxAttributes(AttributeFlags.MODE64BIT | AttributeFlags.DEBUG, 7);
        return secs;
    }

    /// <summary>MRENCLAVE of the one enclave that is built here: a TCS, a data page and two SSA frames, nothing extended.</summary>
    public static Hash256 Measurement()
    {
        MeasurementLog log = new MeasurementLog().Create(1, StressPlatform.EnclaveSize);
        foreach ((ulong offset, SecInfo info, byte[] _) in Layout())
        {
            log.Add(offset, (ulong)info.Flags);
        }

        return log.Digest();
    }

    public void Execute(int leaves)
    {
        for (int i = 0; i < leaves;)
        {
            i += _random.Next(200) == 0 ? Build() : Logical.InEnclave ? Inside() : Outside();
        }
    }

    private static IEnumerable<(ulong Offset, SecInfo Info, byte[] Contents)> Layout()
    {
        SecInfo data = SecInfo.For(PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.W);
        yield return (0, SecInfo.For(PageType.PT_TCS, 0), s_tcs);
        yield return (PageSize, SecInfo.For(PageType.PT_TCS, 0), s_tcs);
        yield return (DataOffset, data, s_data);
        yield return (SsaOffset, data, s_data);
        yield return (SsaOffset + PageSize, data, s_data);
    }

    private static byte[] NewTcs()
    {
        Tcs tcs = default;
        tcs.OSsa = SsaOffset;
        tcs.NSsa = 2;
        tcs.OEntry = DataOffset;
        return Bytes.Of(in tcs).ToArray();
    }

    /// <summary>At offset 512 a KEYREQUEST for a seal key; as a TARGETINFO it names nobody.</summary>
    private static byte[] NewData()
    {
        byte[] data = new byte[4096];
        data[512] = (byte)KeyName.SEAL_KEY;
        return data;
    }

    private int AnyPage() => _random.Next(StressPlatform.Pages);

    /// <summary>A page that looks right at the moment; another thread may have changed that before the leaf runs.</summary>
    private int PageOf(Func<Epcm, int, bool> looksRight)
    {
        int start = AnyPage();
        for (int i = 0; i < StressPlatform.Pages; i++)
        {
            int page = (start + i) % StressPlatform.Pages;
            if (looksRight(Epcm, page)) return page;
        }

        return start;
    }

    private int FreePage() => PageOf((epcm, page) => !epcm.IsValid(page));

    private int PageOf(PageType type) => PageOf((epcm, page) => epcm.IsValid(page) && epcm.TypeOf(page) == type);

    private int Done(string leaf, LeafResult result)
    {
        platform.Outcomes.AddOrUpdate($"{leaf}: {(result.Status == LeafStatus.Fault ? $"#{result.Fault.Kind}" : result.ToString())}", 1, (_, count) => count + 1);
        return 1;
    }

    private int Build()
    {
        int range = _random.Next(StressPlatform.EnclaveRanges);
        Secs secs = NewSecs(range);
        int old = PageOf((epcm, page) => epcm.IsValid(page) && epcm.TypeOf(page) == PageType.PT_SECS && Processor.SecsOf(page).BaseAddress == secs.BaseAddress);
        if (Epcm.IsValid(old) && Epcm.TypeOf(old) == PageType.PT_SECS) return TearDown(old);

        int secsPage = FreePage();
        LeafResult result = ECreate.Execute(Processor, Bytes.Of(in secs), SecInfo.For(PageType.PT_SECS, 0), 0, secsPage);
        Done("ECREATE", result);
        if (!result.IsSuccess) return 1;

        foreach ((ulong offset, SecInfo info, byte[] contents) in Layout())
        {
            int page = FreePage();
            result = EAdd.Execute(Processor, contents, in info, secs.BaseAddress + offset, secsPage, page);
            Done("EADD", result);
            if (result.IsSuccess) platform.Map(secs.BaseAddress + offset, page);
        }

        SigStruct sig = platform.Signature;
        EInitToken token = default;
        return 6 + Done("EINIT", EInit.Execute(Processor, Logical, Bytes.Of(in sig), secsPage, Bytes.Of(in token)));
    }

    private int TearDown(int secs)
    {
        int leaves = 1;
        for (int page = 0; page < StressPlatform.Pages; page++)
        {
            if (page == secs || !Epcm.IsValid(page) || Epcm.EnclaveSecs(page) != secs) continue;
            LeafResult result = ERemove.Execute(Processor, page);
            leaves += Done("EREMOVE", result);
            if (!result.IsSuccess) return leaves;
        }

        return leaves + Done("EREMOVE", ERemove.Execute(Processor, secs));
    }

    private int Outside()
    {
        int choice = _random.Next(100);
        if (choice >= 40) return Encls(choice);

        bool resume = choice < 15;
        int tcs = PageOf((epcm, page) => epcm.IsValid(page) && epcm.TypeOf(page) == PageType.PT_TCS && !epcm.IsBlocked(page)
            && (!resume || Processor.TcsOf(page).CSsa > 0));
        _registers = new RegisterFile
        {
            Rax = (ulong)(resume ? EncluLeaf.ERESUME : EncluLeaf.EENTER),
            Rbx = Epcm.EnclaveAddress(tcs),
            Rcx = 0x40_1000,
            Rip = 0x40_2003,
            Rflags = 0x202,
        };
        return Enclu();
    }

    private int Inside()
    {
        ulong data = Logical.EnclaveBase + DataOffset;
        int choice = _random.Next(100);
        int page = PageOf((epcm, candidate) => epcm.IsValid(candidate) && (epcm.IsPending(candidate) || epcm.IsModified(candidate) || epcm.IsPermissionRestricted(candidate)));
        switch (choice)
        {
            case < 12:
                AsynchronousExit.Execute(Processor, Logical, ref _registers, _xsave, ExitEvent.Interrupt);
                return Done("AEX", LeafResult.Ok);

            case < 20:
                _registers.Rax = (ulong)EncluLeaf.EEXIT;
                _registers.Rbx = 0x40_2000;
                return Enclu();

            case < 24:
                _registers.Rax = (ulong)EncluLeaf.EDECCSSA;
                return Enclu();

            case < 27:
                _registers.Rax = (ulong)EncluLeaf.EGETKEY;
                _registers.Rbx = data + 512;
                _registers.Rcx = data + 1024;
                return Enclu();

            case < 30:
                _registers.Rax = (ulong)EncluLeaf.EREPORT;
                _registers.Rbx = data + 512;
                _registers.Rcx = data + 1536;
                _registers.Rdx = data + 2048;
                return Enclu();

            case < 50:
                SecInfo info = SecInfo.For(Epcm.TypeOf(page), Epcm.State(page));
                _registers.Rax = (ulong)EncluLeaf.EACCEPT;
                if (choice < 36)
                {
                    _registers.Rax = (ulong)EncluLeaf.EACCEPTCOPY;
                    info = SecInfo.For(PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.W);
                }
                else if (choice < 41)
                {
                    _registers.Rax = (ulong)EncluLeaf.EMODPE;
                    info = SecInfo.For(PageType.PT_REG, SecInfoFlags.R | (SecInfoFlags)_random.Next(8));
                    page = PageOf((epcm, candidate) => epcm.IsValid(candidate) && epcm.TypeOf(candidate) == PageType.PT_REG && epcm.EnclaveSecs(candidate) == Logical.ActiveSecs);
                }

                // Each thread has its own place for the SECINFO; another may still change the page under it.
                ulong operand = data + 2560 + ((ulong)index * 64);
                if (platform.TryTranslate(operand, AccessKind.Write, out int frame, out _) && Epcm.IsValid(frame) && Epcm.TypeOf(frame) == PageType.PT_REG)
                {
                    MemoryMarshal.Write(platform.Frames.Frame(frame)[(int)(operand % PageSize)..], in info);
                }

                _registers.Rbx = operand;
                _registers.Rcx = Epcm.EnclaveAddress(page);
                _registers.Rdx = data;
                return Enclu();

            default:
                return Encls(choice);
        }
    }

    private int Enclu()
    {
        string leaf = ((EncluLeaf)_registers.Rax).ToString();
        return Done(leaf, SoftSgx.Processor.Enclu.Execute(Processor, Logical, ref _registers, platform, _xsave));
    }

    private int Encls(int choice)
    {
        int child = PageOf((epcm, page) => epcm.IsValid(page) && epcm.TypeOf(page) is not (PageType.PT_SECS or PageType.PT_VA));
        int reg = PageOf(PageType.PT_REG);
        int secs = PageOf(PageType.PT_SECS);
        SecInfo info;
        switch (choice % 25)
        {
            case 0: return Done("EPA", EPa.Execute(Processor, PageType.PT_VA, FreePage()));
            case 1 or 2: return Done("EBLOCK", EBlock.Execute(Processor, child));
            case 3: return Done("ETRACK", ETrack.Execute(Processor, secs));
            case 4: return Done("ETRACKC", ETrackC.Execute(Processor, AnyPage()));
            case 5 or 6 or 7: return Evict();
            case 8 or 9 or 10 or 11: return Load();
            case 12 or 13: return Augment(secs);
            case 14:
                info = SecInfo.For(PageType.PT_REG, SecInfoFlags.R | (SecInfoFlags)(_random.Next(4) * 2));
                return Done("EMODPR", EModPr.Execute(Processor, in info, reg));
            case 15:
                info = SecInfo.For(_random.Next(3) == 0 ? PageType.PT_TCS : PageType.PT_TRIM, 0);
                return Done("EMODT", EModT.Execute(Processor, in info, Extra()));
            case 16 or 17: return Done("EREMOVE", ERemove.Execute(Processor, _random.Next(8) == 0 ? AnyPage() : Extra()));
            case 18: return Done("EDBGRD", EDbgRd.Execute(Processor, AnyPage(), _random.Next(8) * 8, out _));
            case 19: return Done("EDBGWR", EDbgWr.Execute(Processor, 0, child, _random.Next(2) * 8));
            case 20:
                RdInfo rdInfo = default;
                return Done("ERDINFO", ERdInfo.Execute(Processor, ref rdInfo, AnyPage()));
            case 21: return Done("EEXTEND", EExtend.Execute(Processor, Epcm.EnclaveSecs(child), child, _random.Next(16) * 256));
            case 22 when _random.Next(4) == 0: return Done("EREMOVE", ERemove.Execute(Processor, PageOf(PageType.PT_VA)));
            case 23 when _random.Next(8) == 0:
                info = SecInfo.For(PageType.PT_REG, SecInfoFlags.R);
                return Done("EADD", EAdd.Execute(Processor, s_data, in info, NewSecs(_random.Next(3)).BaseAddress + DataOffset + PageSize, secs, FreePage()));
            default: return Done("EREMOVE", ERemove.Execute(Processor, secs));
        }
    }

    /// <summary>Mostly a page that EAUG added, so that enclaves stay enterable for a while.</summary>
    private int Extra() => _random.Next(6) == 0
        ? AnyPage()
        : PageOf((epcm, page) => epcm.IsValid(page) && epcm.EnclaveAddress(page) % StressPlatform.EnclaveSize >= 8 * PageSize);

    private int Augment(int secs)
    {
        int page = FreePage();
        ulong address = Processor.SecsOf(secs).BaseAddress + ((ulong)(8 + _random.Next(8)) * PageSize);
        LeafResult result = EAug.Execute(Processor, null, address, secs, page);
        if (result.IsSuccess) platform.Map(address, page);
        return Done("EAUG", result);
    }

    private int Evict()
    {
        int page = PageOf((epcm, candidate) => epcm.IsValid(candidate) && epcm.IsBlocked(candidate));
        if (_random.Next(10) == 0) page = AnyPage();
        int va = PageOf(PageType.PT_VA);
        int secs = Epcm.EnclaveSecs(page);
        int offset = _random.Next(VersionArray.SlotCount) * 8;
        byte[] ciphertext = new byte[4096];
        Pcmd pcmd = default;
        ulong address = 0;
        LeafResult result = EWb.Execute(Processor, ciphertext, ref pcmd, ref address, page, va, offset);
        if (result.IsSuccess) platform.Evicted.Enqueue(new EvictedCopy(ciphertext, pcmd, address, secs, va, offset));
        return Done("EWB", result);
    }

    private int Load()
    {
        if (!platform.Evicted.TryDequeue(out EvictedCopy? copy)) return Done("EBLOCK", EBlock.Execute(Processor, AnyPage()));

        int page = FreePage();
        LeafResult result = _random.Next(4) switch
        {
            0 => ELdb.Execute(Processor, copy.Ciphertext, in copy.Pcmd, copy.Address, copy.SecsPage, page, copy.VaPage, copy.VaOffset),
            1 => ELdbc.Execute(Processor, copy.Ciphertext, in copy.Pcmd, copy.Address, copy.SecsPage, page, copy.VaPage, copy.VaOffset),
            2 => ELduc.Execute(Processor, copy.Ciphertext, in copy.Pcmd, copy.Address, copy.SecsPage, page, copy.VaPage, copy.VaOffset),
            _ => ELdu.Execute(Processor, copy.Ciphertext, in copy.Pcmd, copy.Address, copy.SecsPage, page, copy.VaPage, copy.VaOffset),
        };
        if (result.IsSuccess)
        {
            copy.Loaded();
            PageType type = copy.Pcmd.SecInfo.PageType;
            if (type is not (PageType.PT_SECS or PageType.PT_VA)) platform.Map(copy.Address, page);
        }

        // Back into the queue now and then, even after a success: replays must fail.
        if (!result.IsSuccess ? _random.Next(4) != 0 : _random.Next(3) == 0) platform.Evicted.Enqueue(copy);
        return Done("ELD", result);
    }
}
