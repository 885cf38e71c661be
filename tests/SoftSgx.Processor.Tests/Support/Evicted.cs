using SoftSgx.Architecture;

namespace SoftSgx.Processor.Tests;

/// <summary>What a kernel keeps of a page that it evicted, and the leaves as it would call them.</summary>
internal sealed class Evicted
{
    public byte[] Contents { get; } = new byte[4096];

    public Box<Pcmd> Pcmd { get; } = new();

    public ulong LinearAddress { get; set; }

    public int VaPage { get; set; }

    public int VaOffset { get; set; }

    public static int VersionArray(TestPlatform platform)
    {
        int page = platform.NextPage();
        Assert.Equal(LeafResult.Ok, EPa.Execute(platform.Processor, PageType.PT_VA, page));
        return page;
    }

    /// <summary>EBLOCK, ETRACK and EWB of a page of an enclave that nobody is in.</summary>
    public static Evicted Child(TestPlatform platform, int secsPage, int page, int vaPage, int vaOffset)
    {
        Assert.Equal(LeafResult.Ok, EBlock.Execute(platform.Processor, page));
        Assert.Equal(LeafResult.Ok, ETrack.Execute(platform.Processor, secsPage));
        return Page(platform, page, vaPage, vaOffset);
    }

    /// <summary>EWB, which must succeed.</summary>
    public static Evicted Page(TestPlatform platform, int page, int vaPage, int vaOffset)
    {
        Evicted evicted = new() { VaPage = vaPage, VaOffset = vaOffset };
        Assert.Equal(LeafResult.Ok, evicted.Write(platform, page));
        return evicted;
    }

    public LeafResult Write(TestPlatform platform, int page)
    {
        ulong address = LinearAddress;
        LeafResult result = EWb.Execute(platform.Processor, Contents, ref Pcmd.Value, ref address, page, VaPage, VaOffset);
        LinearAddress = address;
        return result;
    }

    public LeafResult Load(TestPlatform platform, int secsPage, int page) =>
        ELdu.Execute(platform.Processor, Contents, in Pcmd.Value, LinearAddress, secsPage, page, VaPage, VaOffset);

    public LeafResult LoadBlocked(TestPlatform platform, int secsPage, int page) =>
        ELdb.Execute(platform.Processor, Contents, in Pcmd.Value, LinearAddress, secsPage, page, VaPage, VaOffset);

    public Evicted Copy()
    {
        Evicted copy = new() { LinearAddress = LinearAddress, VaPage = VaPage, VaOffset = VaOffset };
        Contents.CopyTo(copy.Contents, 0);
        copy.Pcmd.Value = Pcmd.Value;
        return copy;
    }
}
