using SoftSgx.Architecture;

namespace SoftSgx.Processor.Tests;

/// <summary>A processor with a small EPC in an array, and helpers to build enclaves on it.</summary>
internal sealed class TestPlatform
{
    public const ulong Base = 0x7000_0000;
    public const ulong Size = 0x10_0000;
    public const AttributeFlags Flags = AttributeFlags.MODE64BIT;
    public const ulong Xfrm = 7;

    private int _next;

    public TestPlatform(ProcessorConfiguration? configuration = null, string seed = "one platform", int pages = 256, byte[]? pagingKey = null)
    {
        Frames = new ArrayFrames(pages);
        configuration ??= new ProcessorConfiguration();
        PlatformSecrets secrets = PlatformSecrets.FromSeed(System.Text.Encoding.ASCII.GetBytes(seed));
        Processor = pagingKey is null
            ? new SgxProcessor(configuration, secrets, pages, Frames)
            : new SgxProcessor(configuration, secrets, pages, Frames, pagingKey);
    }

    public ArrayFrames Frames { get; }

    public SgxProcessor Processor { get; }

    public static byte[] NoToken => new byte[EInitToken.Size];

    public static SecInfo SecsInfo => SecInfo.For(PageType.PT_SECS, SecInfoFlags.None);

    public static SecInfo RegInfo => SecInfo.For(PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.W);

    public static SecInfo TcsInfo => SecInfo.For(PageType.PT_TCS, SecInfoFlags.None);

    public static Secs DefaultSecs(AttributeFlags flags = Flags, ulong xfrm = Xfrm, uint ssaFrameSize = 1, MiscSelect misc = MiscSelect.None)
    {
        Secs secs = default;
        secs.EnclaveSize = Size;
        secs.BaseAddress = Base;
        secs.SsaFrameSize = ssaFrameSize;
        secs.MiscSelect = misc;
        secs.Attributes = new SgxAttributes(flags, xfrm);
        return secs;
    }

    public int NextPage() => _next++;

    public LeafResult Create(in Secs secs, int page) => ECreate.Execute(Processor, Bytes.Of(in secs), SecsInfo, 0, page);

    public int Create(in Secs secs)
    {
        int page = NextPage();
        Assert.Equal(LeafResult.Ok, Create(in secs, page));
        return page;
    }

    public LeafResult Add(int secsPage, ulong address, ReadOnlySpan<byte> contents, SecInfo info, int page) =>
        EAdd.Execute(Processor, contents, in info, address, secsPage, page);

    public int Add(int secsPage, ulong offset, ReadOnlySpan<byte> contents, SecInfo info)
    {
        int page = NextPage();
        ulong address = Processor.SecsOf(secsPage).BaseAddress + offset;
        Assert.Equal(LeafResult.Ok, Add(secsPage, address, contents, info, page));
        return page;
    }

    public void ExtendAll(int secsPage, int page)
    {
        for (int offset = 0; offset < 4096; offset += EExtend.ChunkLength)
        {
            Assert.Equal(LeafResult.Ok, EExtend.Execute(Processor, secsPage, page, offset));
        }
    }

    public LeafResult Init(LogicalProcessor logical, int secsPage, in SigStruct sig, byte[]? token = null) =>
        EInit.Execute(Processor, logical, Bytes.Of(in sig), secsPage, token ?? NoToken);
}
