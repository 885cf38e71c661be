using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Kernel.Tests;

/// <summary>The processor's leaves, any of which a test can make fail.</summary>
internal sealed class ScriptedEncls(SgxProcessor processor) : IEncls
{
    private readonly ProcessorEncls _real = new(processor);

    /// <summary>Decides, by leaf and how often it was executed before, what it answers; null lets it work.</summary>
    public Func<EnclsLeaf, int, LeafResult?> Script { get; set; } = (_, _) => null;

    public Dictionary<EnclsLeaf, int> Calls { get; } = [];

    public static LeafResult Fault => LeafResult.FromFault(Architecture.Fault.GeneralProtection());

    /// <summary>Makes one leaf fail from its n-th execution on.</summary>
    public void Fail(EnclsLeaf leaf, LeafResult result, int from = 0)
    {
        Func<EnclsLeaf, int, LeafResult?> other = Script;
        int done = Calls.GetValueOrDefault(leaf);
        Script = (l, n) => l == leaf && n - done >= from ? result : other(l, n);
    }

    public LeafResult ECreate(ReadOnlySpan<byte> secs, int epcPage)
        => Scripted(EnclsLeaf.ECREATE) ?? _real.ECreate(secs, epcPage);

    public LeafResult EAdd(ReadOnlySpan<byte> source, in SecInfo secInfo, ulong linearAddress, int secsPage, int epcPage)
        => Scripted(EnclsLeaf.EADD) ?? _real.EAdd(source, in secInfo, linearAddress, secsPage, epcPage);

    public LeafResult EExtend(int secsPage, int epcPage, int offsetInPage)
        => Scripted(EnclsLeaf.EEXTEND) ?? _real.EExtend(secsPage, epcPage, offsetInPage);

    public LeafResult EInit(
        LogicalProcessor logicalProcessor, ReadOnlySpan<byte> sigStruct, int secsPage, ReadOnlySpan<byte> token)
        => Scripted(EnclsLeaf.EINIT) ?? _real.EInit(logicalProcessor, sigStruct, secsPage, token);

    public LeafResult ERemove(int epcPage) => Scripted(EnclsLeaf.EREMOVE) ?? _real.ERemove(epcPage);

    public LeafResult EPa(int epcPage) => Scripted(EnclsLeaf.EPA) ?? _real.EPa(epcPage);

    public LeafResult EBlock(int epcPage) => Scripted(EnclsLeaf.EBLOCK) ?? _real.EBlock(epcPage);

    public LeafResult ETrack(int secsPage) => Scripted(EnclsLeaf.ETRACK) ?? _real.ETrack(secsPage);

    public LeafResult EWb(
        Span<byte> destination, out Pcmd pcmd, out ulong linearAddress, int epcPage, int vaPage, int vaOffset)
    {
        pcmd = default;
        linearAddress = 0;
        return Scripted(EnclsLeaf.EWB) ?? _real.EWb(destination, out pcmd, out linearAddress, epcPage, vaPage, vaOffset);
    }

    public LeafResult ELdu(
        ReadOnlySpan<byte> source, in Pcmd pcmd, ulong linearAddress, int secsPage, int epcPage, int vaPage, int vaOffset)
        => Scripted(EnclsLeaf.ELDU) ?? _real.ELdu(source, in pcmd, linearAddress, secsPage, epcPage, vaPage, vaOffset);

    public LeafResult EAug(ulong linearAddress, int secsPage, int epcPage)
        => Scripted(EnclsLeaf.EAUG) ?? _real.EAug(linearAddress, secsPage, epcPage);

    public LeafResult EModPr(in SecInfo secInfo, int epcPage) => Scripted(EnclsLeaf.EMODPR) ?? _real.EModPr(in secInfo, epcPage);

    public LeafResult EModT(in SecInfo secInfo, int epcPage) => Scripted(EnclsLeaf.EMODT) ?? _real.EModT(in secInfo, epcPage);

    public LeafResult EDbgRd(int epcPage, int offsetInPage, out ulong data)
    {
        data = 0;
        return Scripted(EnclsLeaf.EDBGRD) ?? _real.EDbgRd(epcPage, offsetInPage, out data);
    }

    public LeafResult EDbgWr(ulong data, int epcPage, int offsetInPage)
        => Scripted(EnclsLeaf.EDBGWR) ?? _real.EDbgWr(data, epcPage, offsetInPage);

    private LeafResult? Scripted(EnclsLeaf leaf)
    {
        int before = Calls.GetValueOrDefault(leaf);
        Calls[leaf] = before + 1;
        return Script(leaf, before);
    }
}
