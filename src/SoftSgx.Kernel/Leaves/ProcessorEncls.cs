using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Kernel;

/// <summary>The ENCLS leaves of a modelled processor.</summary>
/// <param name="processor">The processor whose EPC the leaves work on.</param>
internal sealed class ProcessorEncls(SgxProcessor processor) : IEncls
{
    /// <inheritdoc/>
    public LeafResult ECreate(ReadOnlySpan<byte> secs, int epcPage)
    {
        SecInfo secInfo = default; // PT_SECS is 0, and PAGEINFO.LINADDR must be 0 as well
        return Processor.ECreate.Execute(processor, secs, in secInfo, 0, epcPage);
    }

    /// <inheritdoc/>
    public LeafResult EAdd(ReadOnlySpan<byte> source, in SecInfo secInfo, ulong linearAddress, int secsPage, int epcPage)
        => Processor.EAdd.Execute(processor, source, in secInfo, linearAddress, secsPage, epcPage);

    /// <inheritdoc/>
    public LeafResult EExtend(int secsPage, int epcPage, int offsetInPage)
        => Processor.EExtend.Execute(processor, secsPage, epcPage, offsetInPage);

    /// <inheritdoc/>
    public LeafResult EInit(
        LogicalProcessor logicalProcessor, ReadOnlySpan<byte> sigStruct, int secsPage, ReadOnlySpan<byte> token)
        => Processor.EInit.Execute(processor, logicalProcessor, sigStruct, secsPage, token);

    /// <inheritdoc/>
    public LeafResult ERemove(int epcPage) => Processor.ERemove.Execute(processor, epcPage);

    /// <inheritdoc/>
    public LeafResult EPa(int epcPage) => Processor.EPa.Execute(processor, PageType.PT_VA, epcPage);

    /// <inheritdoc/>
    public LeafResult EBlock(int epcPage) => Processor.EBlock.Execute(processor, epcPage);

    /// <inheritdoc/>
    public LeafResult ETrack(int secsPage) => Processor.ETrack.Execute(processor, secsPage);

    /// <inheritdoc/>
    public LeafResult EWb(
        Span<byte> destination, out Pcmd pcmd, out ulong linearAddress, int epcPage, int vaPage, int vaOffset)
    {
        pcmd = default;
        linearAddress = 0;
        return Processor.EWb.Execute(processor, destination, ref pcmd, ref linearAddress, epcPage, vaPage, vaOffset);
    }

    /// <inheritdoc/>
    public LeafResult ELdu(
        ReadOnlySpan<byte> source, in Pcmd pcmd, ulong linearAddress, int secsPage, int epcPage, int vaPage, int vaOffset)
        => Processor.ELdu.Execute(processor, source, in pcmd, linearAddress, secsPage, epcPage, vaPage, vaOffset);

    /// <inheritdoc/>
    public LeafResult EAug(ulong linearAddress, int secsPage, int epcPage)
        => Processor.EAug.Execute(processor, null, linearAddress, secsPage, epcPage);

    /// <inheritdoc/>
    public LeafResult EModPr(in SecInfo secInfo, int epcPage) => Processor.EModPr.Execute(processor, in secInfo, epcPage);

    /// <inheritdoc/>
    public LeafResult EModT(in SecInfo secInfo, int epcPage) => Processor.EModT.Execute(processor, in secInfo, epcPage);

    /// <inheritdoc/>
    public LeafResult EDbgRd(int epcPage, int offsetInPage, out ulong data)
        => Processor.EDbgRd.Execute(processor, epcPage, offsetInPage, out data);

    /// <inheritdoc/>
    public LeafResult EDbgWr(ulong data, int epcPage, int offsetInPage)
        => Processor.EDbgWr.Execute(processor, data, epcPage, offsetInPage);
}
