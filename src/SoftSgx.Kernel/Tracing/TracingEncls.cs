using System.Runtime.InteropServices;
using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Kernel.Tracing;

/// <summary>The ENCLS leaves, with an event for each execution.</summary>
/// <param name="encls">What executes them.</param>
/// <param name="processor">Whose EPCM says what a page is.</param>
/// <param name="trace">Where the events go.</param>
internal sealed class TracingEncls(IEncls encls, SgxProcessor processor, ITrace trace) : IEncls
{
    /// <inheritdoc/>
    public LeafResult ECreate(ReadOnlySpan<byte> secs, int epcPage)
    {
        LeafResult result = encls.ECreate(secs, epcPage);
        if (Begin(EnclsLeaf.ECREATE, epcPage) is { } e)
        {
            ref readonly Secs source = ref MemoryMarshal.AsRef<Secs>(secs);
            e.Add("base", source.BaseAddress, source.BaseAddress, 0);
            Write(e.Add("size", source.EnclaveSize), in result);
        }

        return result;
    }

    /// <inheritdoc/>
    public LeafResult EAdd(ReadOnlySpan<byte> source, in SecInfo secInfo, ulong linearAddress, int secsPage, int epcPage)
    {
        LeafResult result = encls.EAdd(source, in secInfo, linearAddress, secsPage, epcPage);
        if (Begin(EnclsLeaf.EADD, epcPage) is { } e)
        {
            Write(Address(e, linearAddress, secsPage).Add("secInfo", TraceNames.Of(in secInfo)).Add("secs", secsPage), in result);
        }

        return result;
    }

    /// <inheritdoc/>
    public LeafResult EExtend(int secsPage, int epcPage, int offsetInPage)
    {
        LeafResult result = encls.EExtend(secsPage, epcPage, offsetInPage);
        if (Begin(EnclsLeaf.EEXTEND, epcPage) is { } e)
        {
            Write(Address(e, Linear(epcPage) + (ulong)offsetInPage, secsPage).Add("secs", secsPage), in result);
        }

        return result;
    }

    /// <inheritdoc/>
    public LeafResult EInit(LogicalProcessor logicalProcessor, ReadOnlySpan<byte> sigStruct, int secsPage, ReadOnlySpan<byte> token)
    {
        LeafResult result = encls.EInit(logicalProcessor, sigStruct, secsPage, token);
        if (trace.Wants(TraceKinds.Encls))
        {
            // What was measured stands in the SECS only after success.
            var e = new TraceEvent(TraceKinds.Encls, nameof(EnclsLeaf.EINIT));
            ref readonly SigStruct signature = ref MemoryMarshal.AsRef<SigStruct>(sigStruct);
            e.Add("enclaveHash", signature.EnclaveHash.ToString()).Add("secs", secsPage).Return(in result);
            if (result.IsSuccess)
            {
                ref readonly Secs secs = ref processor.SecsOf(secsPage);
                e.Add("mrEnclave", secs.MrEnclave.ToString()).Add("mrSigner", secs.MrSigner.ToString());
            }

            trace.Write(e);
        }

        return result;
    }

    /// <inheritdoc/>
    public LeafResult ERemove(int epcPage)
    {
        TraceEvent? e = Describe(EnclsLeaf.EREMOVE, epcPage); // before: afterwards the EPCM has forgotten it
        LeafResult result = encls.ERemove(epcPage);
        Write(e, in result);
        return result;
    }

    /// <inheritdoc/>
    public LeafResult EPa(int epcPage)
    {
        LeafResult result = encls.EPa(epcPage);
        Write(Begin(EnclsLeaf.EPA, epcPage), in result);
        return result;
    }

    /// <inheritdoc/>
    public LeafResult EBlock(int epcPage)
    {
        LeafResult result = encls.EBlock(epcPage);
        Write(Describe(EnclsLeaf.EBLOCK, epcPage), in result);
        return result;
    }

    /// <inheritdoc/>
    public LeafResult ETrack(int secsPage)
    {
        LeafResult result = encls.ETrack(secsPage);
        if (trace.Wants(TraceKinds.Encls))
        {
            Write(new TraceEvent(TraceKinds.Encls, nameof(EnclsLeaf.ETRACK)).Add("secs", secsPage), in result);
        }

        return result;
    }

    /// <inheritdoc/>
    public LeafResult EWb(Span<byte> destination, out Pcmd pcmd, out ulong linearAddress, int epcPage, int vaPage, int vaOffset)
    {
        TraceEvent? e = Describe(EnclsLeaf.EWB, epcPage);
        LeafResult result = encls.EWb(destination, out pcmd, out linearAddress, epcPage, vaPage, vaOffset);
        Write(e?.Add("vaPage", vaPage).Add("vaOffset", (ulong)vaOffset), in result);
        return result;
    }

    /// <inheritdoc/>
    public LeafResult ELdu(
        ReadOnlySpan<byte> source, in Pcmd pcmd, ulong linearAddress, int secsPage, int epcPage, int vaPage, int vaOffset)
    {
        LeafResult result = encls.ELdu(source, in pcmd, linearAddress, secsPage, epcPage, vaPage, vaOffset);
        if (Begin(EnclsLeaf.ELDU, epcPage) is { } e)
        {
            Address(e, linearAddress, secsPage).Add("secInfo", TraceNames.Of(in pcmd.SecInfo));
            if (secsPage >= 0)
            {
                e.Add("secs", secsPage);
            }

            Write(e.Add("vaPage", vaPage).Add("vaOffset", (ulong)vaOffset), in result);
        }

        return result;
    }

    /// <inheritdoc/>
    public LeafResult EAug(ulong linearAddress, int secsPage, int epcPage)
    {
        LeafResult result = encls.EAug(linearAddress, secsPage, epcPage);
        if (Begin(EnclsLeaf.EAUG, epcPage) is { } e)
        {
            Write(Address(e, linearAddress, secsPage).Add("secs", secsPage), in result);
        }

        return result;
    }

    /// <inheritdoc/>
    public LeafResult EModPr(in SecInfo secInfo, int epcPage)
    {
        LeafResult result = encls.EModPr(in secInfo, epcPage);
        Write(Describe(EnclsLeaf.EMODPR, epcPage)?.Add("permissions", TraceNames.Permissions(secInfo.Permissions)), in result);
        return result;
    }

    /// <inheritdoc/>
    public LeafResult EModT(in SecInfo secInfo, int epcPage)
    {
        LeafResult result = encls.EModT(in secInfo, epcPage);
        Write(Describe(EnclsLeaf.EMODT, epcPage)?.Add("pageType", TraceNames.Of(secInfo.PageType)), in result);
        return result;
    }

    /// <inheritdoc/>
    public LeafResult EDbgRd(int epcPage, int offsetInPage, out ulong data)
    {
        LeafResult result = encls.EDbgRd(epcPage, offsetInPage, out data);
        Write(DescribeDebug(EnclsLeaf.EDBGRD, epcPage, offsetInPage)?.Add("data", data), in result);
        return result;
    }

    /// <inheritdoc/>
    public LeafResult EDbgWr(ulong data, int epcPage, int offsetInPage)
    {
        LeafResult result = encls.EDbgWr(data, epcPage, offsetInPage);
        Write(DescribeDebug(EnclsLeaf.EDBGWR, epcPage, offsetInPage)?.Add("data", data), in result);
        return result;
    }

    private TraceEvent? Begin(EnclsLeaf leaf, int epcPage)
        => trace.Wants(TraceKinds.Encls)
            ? new TraceEvent(TraceKinds.Encls, LeafTable.Find(LeafKind.ENCLS, (uint)leaf)!.Name).Add("epcPage", epcPage)
            : null;

    /// <summary>A page that the EPCM knows: its address and type as well.</summary>
    private TraceEvent? Describe(EnclsLeaf leaf, int epcPage)
    {
        TraceEvent? e = Begin(leaf, epcPage);
        Epcm epcm = processor.Epcm;
        if (e is null || !epcm.Contains(epcPage) || !epcm.IsValid(epcPage))
        {
            return e;
        }

        PageType type = epcm.TypeOf(epcPage);
        if (type is not (PageType.PT_SECS or PageType.PT_VA))
        {
            Address(e, epcm.EnclaveAddress(epcPage), epcm.EnclaveSecs(epcPage));
        }

        return e.Add("type", TraceNames.Of(type));
    }

    /// <summary>The address is that of the eight bytes.</summary>
    private TraceEvent? DescribeDebug(EnclsLeaf leaf, int epcPage, int offsetInPage)
    {
        TraceEvent? e = Begin(leaf, epcPage);
        Epcm epcm = processor.Epcm;
        return e is null || !epcm.Contains(epcPage) || !epcm.IsValid(epcPage)
            ? e
            : Address(e, Linear(epcPage) + (ulong)offsetInPage, epcm.EnclaveSecs(epcPage)).Add("type", TraceNames.Of(epcm.TypeOf(epcPage)));
    }

    private TraceEvent Address(TraceEvent e, ulong address, int secsPage)
    {
        Epcm epcm = processor.Epcm;
        if (!epcm.Contains(secsPage) || !epcm.IsValid(secsPage) || epcm.TypeOf(secsPage) != PageType.PT_SECS)
        {
            return e.Add("linearAddress", address, null);
        }

        ref readonly Secs secs = ref processor.SecsOf(secsPage);
        return e.Add("linearAddress", address, secs.BaseAddress, secs.EnclaveSize);
    }

    private ulong Linear(int epcPage) => processor.Epcm.EnclaveAddress(epcPage);

    private void Write(TraceEvent? e, in LeafResult result)
    {
        if (e is not null)
        {
            trace.Write(e.Return(in result));
        }
    }
}
