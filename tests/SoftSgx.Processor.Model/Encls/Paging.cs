using System.Buffers.Binary;
using SoftSgx.Architecture;

namespace SoftSgx.Processor.Model;

/// <summary>EPA, EBLOCK, ETRACK, ETRACKC, EWB and the four ELDs. SDM vol. 3D, the pages of those names.</summary>
public sealed partial class ModelProcessor
{
    /// <summary>ENCLS[EPA].</summary>
    public Outcome EPa(ulong rbx, int page)
    {
        if (rbx != (ulong)PageType.PT_VA) return Outcome.GP;
        if (!IsEpc(page)) return Outcome.PF(page);
        if (EntryOf(page) is not null) return Outcome.PF(page);

        Epcm[page] = new ModelEntry(PageType.PT_VA, 0, 0, null);
        Contents[page] = new byte[4096];
        return Outcome.Ok;
    }

    /// <summary>ENCLS[EBLOCK].</summary>
    public Outcome EBlock(int page)
    {
        if (!IsEpc(page)) return Outcome.PF(page);
        if (EntryOf(page) is not { } entry) return Outcome.Of(SgxError.SGX_PG_INVLD);
        if (entry.Type == PageType.PT_SECS) return Outcome.Info(SgxError.SGX_PG_IS_SECS);
        if (!entry.IsChild) return Outcome.Info(SgxError.SGX_NOTBLOCKABLE);
        if (entry.Blocked) return Outcome.Info(SgxError.SGX_BLKSTATE);

        Epcm[page] = entry with { Blocked = true, ChangedInEpoch = entry.Enclave!.Epoch };
        return Outcome.Ok;
    }

    /// <summary>ENCLS[ETRACK].</summary>
    public Outcome ETrack(int secsPage)
    {
        if (!IsEpc(secsPage)) return Outcome.PF(secsPage);
        if (!IsSecs(secsPage)) return Outcome.PF(secsPage);
        return Track(Epcm[secsPage].Enclave!);
    }

    /// <summary>ENCLS[ETRACKC].</summary>
    public Outcome ETrackC(int page)
    {
        if (!configuration.Oversub) return Outcome.GP;
        if (!IsEpc(page)) return Outcome.PF(page);
        if (EntryOf(page) is not { } entry) return Outcome.Of(SgxError.SGX_PG_INVLD);
        if (entry.Enclave is null) return Outcome.Info(SgxError.SGX_TRACK_NOT_REQUIRED);
        return Track(entry.Enclave);
    }

    /// <summary>ENCLS[EWB]. SGX_VA_SLOT_OCCUPIED is told after the work is done.</summary>
    public Outcome Ewb(int page, int vaPage, int slot, out SealedPage? written)
    {
        written = null;
        if (!IsEpc(page)) return Outcome.PF(page);
        if (!IsEpc(vaPage)) return Outcome.PF(vaPage);
        if (page == vaPage) return Outcome.GP;
        if (EntryOf(page) is not { } entry) return Outcome.PF(page);
        if (EntryOf(vaPage) is not { Type: PageType.PT_VA }) return Outcome.PF(vaPage);

        if (entry.IsChild && !entry.Blocked) return Outcome.Of(SgxError.SGX_PAGE_NOT_BLOCKED);
        if (entry.IsChild && !IsTracked(entry)) return Outcome.Of(SgxError.SGX_NOT_TRACKED);
        if (entry.Type == PageType.PT_SECS && ChildCount(entry.Enclave!) != 0) return Outcome.Of(SgxError.SGX_CHILD_PRESENT);

        ulong eid = entry.IsChild ? entry.Enclave!.Eid : 0;
        written = new SealedPage(_nextVersion, entry, eid, entry.Type == PageType.PT_SECS ? [] : [.. Contents[page]]);
        _nextVersion += 8;
        Span<byte> cell = Contents[vaPage].AsSpan(slot * 8, 8);
        bool occupied = !Bytes.IsZero(cell);
        BinaryPrimitives.WriteUInt64LittleEndian(cell, written.Version);
        Free(page);
        return occupied ? Outcome.Info(SgxError.SGX_VA_SLOT_OCCUPIED) : Outcome.Ok;
    }

    /// <summary>ENCLS[ELDB], ENCLS[ELDU]; also ELDBC and ELDUC, which differ in conflicts only: two operands in one page.</summary>
    /// <param name="page">RCX: the EPC page.</param>
    /// <param name="presented">Contents and PCMD.</param>
    /// <param name="secsPage">PAGEINFO.SECS; null for zero.</param>
    /// <param name="vaPage">RDX: the version array.</param>
    /// <param name="slot">RDX: the slot.</param>
    /// <param name="blocked">ELDB rather than ELDU.</param>
    /// <param name="oversub">ELDBC and ELDUC rather than ELDB and ELDU.</param>
    public Outcome Eld(int page, PresentedPage presented, int? secsPage, int vaPage, int slot, bool blocked, bool oversub)
    {
        if (oversub && !configuration.Oversub) return Outcome.GP;
        Outcome conflict = oversub ? Outcome.Of(SgxError.SGX_EPC_PAGE_CONFLICT) : Outcome.GP;
        if (!IsEpc(page)) return Outcome.PF(page);
        if (!IsEpc(vaPage)) return Outcome.PF(vaPage);
        if (page == vaPage) return conflict;
        if (EntryOf(page) is not null) return Outcome.PF(page);
        if (EntryOf(vaPage) is not { Type: PageType.PT_VA }) return Outcome.PF(vaPage);

        SealedPage original = presented.Original;
        ModelEnclave? owner = null;
        if (TypeIn(presented.Flags) is PageType.PT_REG or PageType.PT_TCS or PageType.PT_TRIM)
        {
            if (secsPage is not { } secs || !IsEpc(secs)) return Outcome.PF(secsPage ?? -1);
            if (secs == page) return conflict;
            if (!IsSecs(secs)) return Outcome.PF(secs);
            owner = Epcm[secs].Enclave!;
        }
        else if (secsPage is not null)
        {
            return Outcome.GP;
        }

        Span<byte> cell = Contents[vaPage].AsSpan(slot * 8, 8);
        ulong version = BinaryPrimitives.ReadUInt64LittleEndian(cell);
        bool authentic = presented.Intact
            && presented.Flags == original.Entry.Flags
            && presented.Address == original.Entry.Address
            && version == original.Version
            && (owner?.Eid ?? 0) == original.Eid;
        if (!authentic) return Outcome.Of(SgxError.SGX_MAC_COMPARE_FAIL);

        cell.Clear();

        // The manual does not say whether a page that ELDB brings back blocked has to be tracked again. It does here: as after EBLOCK.
        bool comesBlocked = blocked && original.Entry.IsChild;
        Epcm[page] = original.Entry with { Blocked = comesBlocked, ChangedInEpoch = comesBlocked ? owner!.Epoch : null };
        if (original.Entry.Type == PageType.PT_SECS)
        {
            original.Entry.Enclave!.SecsPage = page;
        }
        else
        {
            Contents[page] = [.. original.Contents];
        }

        return Outcome.Ok;
    }

    /// <summary>A new epoch may begin when nobody is inside who came in before the present one.</summary>
    private Outcome Track(ModelEnclave enclave)
    {
        if (LogicalProcessors.Any(logical => logical.Enclave == enclave && logical.EntryEpoch < enclave.Epoch))
        {
            return Outcome.Of(SgxError.SGX_PREV_TRK_INCMPL);
        }

        enclave.Epoch++;
        return Outcome.Ok;
    }
}
