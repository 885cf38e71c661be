using SoftSgx.Architecture;

namespace SoftSgx.Processor.Tests;

/// <summary>What a test may choose about an enclave.</summary>
internal sealed record EnclaveOptions
{
    public AttributeFlags Flags { get; init; } = TestPlatform.Flags;

    public ulong Xfrm { get; init; } = TestPlatform.Xfrm;

    public uint SsaFrameSize { get; init; } = 1;

    public uint NSsa { get; init; } = 2;

    public MiscSelect Misc { get; init; }

    public byte Fill { get; init; } = 0x11;

    public TestSigner Signer { get; init; } = TestSigner.First;

    public Action<Box<Secs>>? Configure { get; init; }

    public Action<Box<Tcs>>? ConfigureTcs { get; init; }

    public ushort IsvProdId { get; init; } = 3;

    public ushort IsvSvn { get; init; } = 5;

    public ushort ConfigSvn { get; init; }

    public byte ConfigIdFill { get; init; }

    public byte FamilyIdFill { get; init; }

    public byte ExtProdIdFill { get; init; }
}

/// <summary>
/// A small initialised enclave: TCS at offset 0, a data page at 0x1000, SSA frames from 0x2000 on, one more data page behind them.
/// </summary>
internal sealed class TestEnclave
{
    public const ulong Entry = 0x1040;
    public const ulong FsOffset = 0x3000;
    public const ulong GsOffset = 0x4000;
    public const ulong DataOffset = 0x1000;
    public const ulong SsaOffset = 0x2000;

    private readonly EnclaveOptions _options;

    public TestEnclave(TestPlatform platform, EnclaveOptions? options = null)
    {
        _options = options ?? new EnclaveOptions();
        Platform = platform;
        Logical = new LogicalProcessor { LePubKeyHash = _options.Signer.MrSigner };
        Box<Secs> refine = new()
        {
            Value = TestPlatform.DefaultSecs(_options.Flags, _options.Xfrm, _options.SsaFrameSize, _options.Misc),
        };
        refine.Value.ConfigSvn = _options.ConfigSvn;
        refine.Value.ConfigId.AsSpan().Fill(_options.ConfigIdFill);
        _options.Configure?.Invoke(refine);
        SecsPage = platform.Create(in refine.Value);

        Box<Tcs> tcs = new();
        tcs.Value.OSsa = SsaOffset;
        tcs.Value.NSsa = _options.NSsa;
        tcs.Value.OEntry = Entry;
        tcs.Value.OFsBase = FsOffset;
        tcs.Value.OGsBase = GsOffset;
        tcs.Value.FsLimit = 0xFFFF_FFFF;
        tcs.Value.GsLimit = 0xFFFF_FFFF;
        _options.ConfigureTcs?.Invoke(tcs);
        TcsPage = Add(0, Bytes.Of(in tcs.Value), TestPlatform.TcsInfo);

        byte[] data = new byte[4096];
        data.AsSpan().Fill(_options.Fill);
        DataPage = Add(DataOffset, data, TestPlatform.RegInfo);
        SsaPages = new int[_options.SsaFrameSize * _options.NSsa];
        for (int i = 0; i < SsaPages.Length; i++)
        {
            // One page in between, so that neighbours of the frame are not neighbours in the EPC.
            platform.NextPage();
            SsaPages[i] = Add(SsaOffset + ((ulong)i * 4096), new byte[4096], TestPlatform.RegInfo);
        }

        LastOffset = SsaOffset + ((ulong)SsaPages.Length * 4096);
        LastPage = Add(LastOffset, new byte[4096], TestPlatform.RegInfo);
    }

    public TestPlatform Platform { get; }

    public LogicalProcessor Logical { get; }

    public LinearSpace Space { get; } = new();

    public int SecsPage { get; }

    public int TcsPage { get; }

    public int DataPage { get; }

    public int[] SsaPages { get; }

    public int LastPage { get; }

    public ulong LastOffset { get; }

    public static ulong DataAddress => TestPlatform.Base + DataOffset;

    public ulong LastAddress => TestPlatform.Base + LastOffset;

    public Span<byte> Data => Platform.Frames.Frame(DataPage);

    public ref Tcs Tcs => ref System.Runtime.InteropServices.MemoryMarshal.AsRef<Tcs>(Platform.Frames.Frame(TcsPage));

    public static TestEnclave Initialized(TestPlatform platform, EnclaveOptions? options = null)
    {
        TestEnclave enclave = new(platform, options);
        SigStruct sig = enclave.Signed();
        Assert.Equal(LeafResult.Ok, platform.Init(enclave.Logical, enclave.SecsPage, in sig));
        return enclave;
    }

    /// <summary>A SIGSTRUCT that fits this enclave; the measurement is the one worked out in <see cref="Log"/>.</summary>
    public SigStruct Signed(Action<Box<SigStruct>>? change = null)
    {
        Box<SigStruct> box = new() { Value = TestSigner.Template(Log.Digest(), new SgxAttributes(_options.Flags, _options.Xfrm)) };
        box.Value.MiscSelect = _options.Misc;
        box.Value.IsvProdId = _options.IsvProdId;
        box.Value.IsvSvn = _options.IsvSvn;
        box.Value.IsvFamilyId.AsSpan().Fill(_options.FamilyIdFill);
        box.Value.IsvExtProdId.AsSpan().Fill(_options.ExtProdIdFill);
        change?.Invoke(box);
        _options.Signer.Sign(ref box.Value);
        return box.Value;
    }

    public MeasurementLog Log { get; } = new();

    public LeafResult Enter(ref RegisterFile registers) => EEnter.Execute(Platform.Processor, Logical, ref registers, Space);

    public LeafResult Enclu(ref RegisterFile registers) => SoftSgx.Processor.Enclu.Execute(Platform.Processor, Logical, ref registers, Space, []);

    /// <summary>Goes in by the TCS, which must succeed.</summary>
    public RegisterFile EnterOk()
    {
        RegisterFile registers = HostRegisters();
        Assert.Equal(LeafResult.Ok, Enter(ref registers));
        return registers;
    }

    public static RegisterFile HostRegisters() => new()
    {
        Rax = (ulong)EncluLeaf.EENTER,
        Rbx = TestPlatform.Base,
        Rcx = 0x40_1000,
        Rip = 0x40_2003,
        Rsp = 0x7FFE_1000,
        Rbp = 0x7FFE_2000,
        Rdi = 0xD1,
        Rsi = 0x51,
        FsBase = 0xF5_0000,
        GsBase = 0x65_0000,
        Rflags = 0x202,
    };

    private int Add(ulong offset, ReadOnlySpan<byte> contents, SecInfo info)
    {
        if (offset == 0)
        {
            Log.Create(_options.SsaFrameSize, TestPlatform.Size);
        }

        int page = Platform.Add(SecsPage, offset, contents, info);
        Platform.ExtendAll(SecsPage, page);
        Log.Add(offset, (ulong)info.Flags).Extend(offset, contents);
        Space.Map(TestPlatform.Base + offset, page);
        return page;
    }
}

/// <summary>A value that a callback can change in place.</summary>
internal sealed class Box<T>
    where T : struct
{
    public T Value;
}
