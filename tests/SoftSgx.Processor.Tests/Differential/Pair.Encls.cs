using System.Runtime.InteropServices;
using SoftSgx.Architecture;
using SoftSgx.Processor.Model;

namespace SoftSgx.Processor.Tests.Differential;

/// <summary>ENCLS: operands are chosen from the model's state, then both sides execute.</summary>
internal sealed partial class Pair
{
    // Offsets in pages: where a built enclave has what.
    private const int TcsPages = 2;
    private const int FirstData = 2;
    private const int FirstSsa = 4;
    private const int SsaPages = 4;
    private const int NSsa = 2;
    private const int FirstFree = 12;

    private void Execute(Step step)
    {
        switch (step.Op)
        {
            case Op.Build: Build(step); break;
            case Op.Create: Create(step); break;
            case Op.Add: Add(step); break;
            case Op.Extend: Extend(step); break;
            case Op.Init: Init(step); break;
            case Op.Remove: Remove(step); break;
            case Op.Pa: Pa(step); break;
            case Op.Block: Block(AnyPage(step, step.A, IsChild)); break;
            case Op.Track: Track(AnyPage(step, step.A, IsSecs)); break;
            case Op.TrackC: TrackC(AnyPage(step, step.A, entry => entry.IsChild || step.B % 4 == 0)); break;
            case Op.Wb: Wb(step, AnyPage(step, step.A, step.B % 8 == 0 ? _ => true : entry => entry.Blocked)); break;
            case Op.Swap: Swap(step); break;
            case Op.Ld: Ld(step); break;
            case Op.Aug: Aug(step); break;
            case Op.ModPr: ModPr(step); break;
            case Op.ModT: ModT(step); break;
            case Op.DbgRd: DbgRd(step); break;
            case Op.DbgWr: DbgWr(step); break;
            case Op.RdInfo: RdInfo(step); break;
            default: ExecuteAsThread(step); break;
        }
    }

    private static bool IsChild(ModelEntry entry) => entry.IsChild;

    private static bool IsSecs(ModelEntry entry) => entry.Type == PageType.PT_SECS;

    private static T? Pick<T>(IReadOnlyList<T> choices, int index) => choices.Count == 0 ? default : choices[index % choices.Count];

    /// <summary>A valid page of that kind, unless the step says otherwise.</summary>
    private int AnyPage(Step step, int index, Func<ModelEntry, bool> kind, Off off = Off.Page)
    {
        if (step.Off == off) return index % PageCount;
        if (step.Off == Off.Outside && off == Off.Page) return step.B % 2 == 0 ? -1 : PageCount;
        List<int> pages = [.. _model.Epcm.Where(pair => kind(pair.Value)).Select(pair => pair.Key)];
        return pages.Count == 0 ? index % PageCount : pages[index % pages.Count];
    }

    private int FreePage(Step step, int index)
    {
        if (step.Off == Off.Page) return index % PageCount;
        if (step.Off == Off.Outside && step.A % 2 == 0) return step.B % 2 == 0 ? -1 : PageCount;
        List<int> pages = [.. Enumerable.Range(0, PageCount).Where(page => !_model.Epcm.ContainsKey(page))];
        return pages.Count == 0 ? index % PageCount : pages[index % pages.Count];
    }

    private void Build(Step step)
    {
        // Room for a TCS, a data page and its SSA; the second thread and the rest only sometimes.
        int free = PageCount - _model.Epcm.Count;
        if (free < 7) return;

        Step plain = step with { Off = Off.None };
        int before = _model.Epcm.Count;
        Create(plain);
        if (_model.Epcm.Count == before) return;
        int secs = _model.Epcm.Last(pair => IsSecs(pair.Value) && pair.Value.Enclave!.Eid == _model.Epcm.Values.Where(IsSecs).Max(e => e.Enclave!.Eid)).Key;
        uint frame = _model.Epcm[secs].Enclave!.Secs.SsaFrameSize;
        List<int> layout = [0, FirstData, .. Enumerable.Range(FirstSsa, (int)(frame * NSsa))];
        if (free > 14) layout.AddRange([1, FirstData + 1, .. Enumerable.Range(FirstSsa + SsaPages, (int)(frame * NSsa))]);
        foreach (int index in layout)
        {
            AddAt(plain, secs, index);
            int tcs = _model.Epcm.FirstOrDefault(pair => pair.Value.Type == PageType.PT_TCS && pair.Value.Enclave!.SecsPage == secs).Key;
            if (index < TcsPages) ExtendAt(secs, tcs, 0);
        }

        InitAt(plain, secs);
    }

    private void Create(Step step)
    {
        int page = FreePage(step, step.A);
        Secs secs = default;
        secs.EnclaveSize = EnclaveSize;
        secs.BaseAddress = FirstBase + ((ulong)(step.B % 2) * EnclaveSize);
        secs.SsaFrameSize = step.C % 4 == 3 ? 2u : 1u;
        secs.MiscSelect = step.C % 3 == 0 ? MiscSelect.EXINFO : 0;
        secs.Attributes.Flags = AttributeFlags.MODE64BIT;
        if (step.B % 3 == 0) secs.Attributes.Flags |= AttributeFlags.DEBUG;
        if (step.C % 3 == 1) secs.Attributes.Flags |= AttributeFlags.AEXNOTIFY;
        if (step.C % 5 == 2) secs.Attributes.Flags |= AttributeFlags.PROVISIONKEY;
        if (step.C % 7 == 3) secs.Attributes.Flags |= AttributeFlags.EINITTOKEN_KEY;
        if (step.C % 2 == 1)
        {
            secs.Attributes.Flags |= AttributeFlags.KSS;
            secs.ConfigId.AsSpan().Fill((byte)step.B);
            secs.ConfigSvn = (ushort)(step.B % 4);
        }

        if (step.C % 13 == 8) secs.Attributes.Flags &= ~AttributeFlags.MODE64BIT;
        secs.Attributes.Xfrm = step.B % 2 == 0 ? 7UL : 3;
        secs.IsvSvn = (ushort)step.B;
        SecInfo info = SecInfo.For(PageType.PT_SECS, 0);
        ulong address = 0;
        if (step.Off == Off.Field) MisconfigureSecs(step, ref secs, ref info, ref address);
        if (step.Off == Off.Bit) Flip(Bytes.Writable(ref secs), step.Noise);

        LeafResult real = ECreate.Execute(_processor, Bytes.Of(in secs), in info, address, page);
        Expect("ECREATE", $"page {page}, base {secs.BaseAddress:x}, {secs.Attributes.Flags}", _model.ECreate(in secs, in info, address, page), real);
    }

    private static void MisconfigureSecs(Step step, ref Secs secs, ref SecInfo info, ref ulong address)
    {
        switch (step.Noise % 23)
        {
            case 0: secs.EnclaveSize = 4096; break;
            case 1: secs.EnclaveSize = 0x18000; break;
            case 2: secs.EnclaveSize = 1UL << 56; secs.BaseAddress = 0; break;
            case 3: secs.BaseAddress += PageSize; break;
            case 4: secs.BaseAddress = 0x8000_0000_0000; break;
            case 5: secs.SsaFrameSize = 0; break;
            case 6: secs.MiscSelect = MiscSelect.CPINFO; break;
            case 7: secs.Attributes.Xfrm = 5; break;
            case 8: secs.Attributes.Xfrm = 0xF; break;
            case 9: secs.Attributes.Flags |= AttributeFlags.CET; break;
            case 10: secs.Attributes.Flags |= AttributeFlags.INIT; break;
            case 11: secs.CetAttributes = 1; break;
            case 12: secs.CetLegacyBitmapOffset = PageSize; break;
            case 13: secs.ConfigSvn = 1; secs.Attributes.Flags &= ~AttributeFlags.KSS; break;
            case 14: secs.ConfigId.AsSpan()[3] = 1; secs.Attributes.Flags &= ~AttributeFlags.KSS; break;
            case 15: info.Flags = (SecInfoFlags)((ulong)PageType.PT_REG << 8); break;
            case 16: address = PageSize; break;
            case 17: secs.Attributes.Flags &= ~AttributeFlags.MODE64BIT; break;
            case 18: secs.Attributes.Flags &= ~AttributeFlags.MODE64BIT; secs.EnclaveSize = 1UL << 31; secs.BaseAddress = 0; break;
            case 19: secs.Attributes.Flags &= ~AttributeFlags.MODE64BIT; secs.BaseAddress = 1UL << 32; break;
            case 20: secs.EnclaveSize = 8192; break;
            case 21: secs.EnclaveSize = 1UL << 32; secs.BaseAddress = 0; break;
            default: info.Flags |= (SecInfoFlags)(1UL << 20); break;
        }
    }

    private void Add(Step step)
    {
        int secs = AnyPage(step, step.B, entry => IsSecs(entry) && (!entry.Enclave!.IsInitialized || step.C % 16 == 0), Off.SecondPage);
        AddAt(step, secs, step.C % 14);
    }

    private void AddAt(Step step, int secs, int index)
    {
        int page = FreePage(step, step.A);
        ulong @base = _model.Epcm.GetValueOrDefault(secs)?.Enclave?.Secs.BaseAddress ?? FirstBase;
        ulong address = @base + ((ulong)index * PageSize);
        byte[] contents = new byte[4096];
        SecInfo info = SecInfo.For(PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.W | (step.Noise % 3 == 0 ? SecInfoFlags.X : 0));
        if (index < TcsPages)
        {
            info = SecInfo.For(PageType.PT_TCS, step.Noise % 3 == 0 ? SecInfoFlags.RWX : 0);
            MemoryMarshal.Write(contents, NewTcs(step, secs, index));
        }
        else
        {
            contents.AsSpan(0, 512).Fill((byte)(step.Noise + index));
            if (step.Noise % 5 == 0 && index < FirstSsa) info = SecInfo.For(PageType.PT_REG, SecInfoFlags.R);
        }

        if (step.Off == Off.Outside) address = @base + (step.C % 2 == 0 ? EnclaveSize : ~0xFFFUL);
        if (step.Off == Off.Alignment) address += 256;
        if (step.Off == Off.Field) Misconfigure(step, ref info);
        if (step.Off == Off.Bit) Flip(contents, step.Noise);

        LeafResult real = EAdd.Execute(_processor, contents, in info, address, secs, page);
        Outcome expected = Expect("EADD", $"page {page} at {address:x} of {secs}, {info.Flags:x}", _model.EAdd(contents, in info, address, secs, page), real);
        if (expected.IsOk) _space.Map(address, page);
    }

    private Tcs NewTcs(Step step, int secs, int index)
    {
        ModelEnclave? enclave = _model.Epcm.GetValueOrDefault(secs)?.Enclave;
        Tcs tcs = default;
        tcs.OSsa = (ulong)(FirstSsa + (index * SsaPages)) * PageSize;
        tcs.NSsa = NSsa;
        tcs.OEntry = 0x2040;
        tcs.OFsBase = PageSize;
        tcs.OGsBase = 2 * PageSize;
        tcs.FsLimit = step.Noise % 7 == 0 ? 0xFFFu : step.Noise % 11 == 0 ? 0x10u : 0xFFFF_FFFF;
        tcs.GsLimit = step.Noise % 17 == 0 ? 0x10u : 0xFFFF_FFFF;
        tcs.Flags = enclave is not null && enclave.Secs.Attributes.Flags.HasFlag(AttributeFlags.AEXNOTIFY) ? TcsFlags.AEXNOTIFY : 0;
        if (step.Noise % 9 == 0) tcs.Flags |= TcsFlags.DBGOPTIN;
        if (step.Off != Off.Field) return tcs;

        switch (step.Noise % 14)
        {
            case 0: tcs.OSsa += 16; break;
            case 1: tcs.OFsBase += 1; break;
            case 2: tcs.OGsBase = 0x8000_0000_0000; break;
            case 3: tcs.OEntry = 0x8000_0000_0000; break;
            case 4: tcs.Flags |= (TcsFlags)4; break;
            case 5: tcs.Flags ^= TcsFlags.AEXNOTIFY; break;
            case 6: tcs.NSsa = 0; break;
            case 7: tcs.CSsa = 1; break;
            case 8: tcs.State = 1; break;
            case 9: tcs.OCetSsa = 16; break;
            case 10: tcs.PrevSsp = 8; break;
            case 11: tcs.FsLimit = 0x10; break;
            case 12: tcs.OFsBase = 0x8000_0000_0000; break;
            default: tcs.Aep = 1; break;
        }

        return tcs;
    }

    private static void Misconfigure(Step step, ref SecInfo info)
    {
        switch (step.Noise % 7)
        {
            case 0: info.Flags = (info.Flags & ~SecInfoFlags.RWX) | SecInfoFlags.W; break;
            case 1: info.Flags = (info.Flags & ~SecInfoFlags.PageTypeMask) | (SecInfoFlags)((ulong)(step.A % 8) << 8); break;
            case 2: info.Flags |= SecInfoFlags.PENDING; break;
            case 3: info.Flags |= SecInfoFlags.MODIFIED; break;
            case 4: info.Flags |= SecInfoFlags.PR; break;
            case 5: info.Flags |= (SecInfoFlags)(1UL << (16 + (step.A % 48))); break;
            default: Bytes.Writable(ref info)[8 + (step.A % 56)] = 1; break;
        }
    }

    private void Extend(Step step)
    {
        int page = AnyPage(step, step.A, entry => entry.IsChild && (!entry.Enclave!.IsInitialized || step.C % 16 == 0));
        int secs = _model.Epcm.GetValueOrDefault(page)?.Enclave?.SecsPage ?? step.B % PageCount;
        if (step.Off == Off.SecondPage) secs = AnyPage(step, step.B, IsSecs, Off.None);
        if (step.Off == Off.Field) secs = PageCount;
        int offset = step.C % 16 * 256;
        if (step.Off == Off.Alignment) offset += step.B % 2 == 0 ? 64 : 4096;
        ExtendAt(secs, page, offset);
    }

    private void ExtendAt(int secs, int page, int offset)
    {
        LeafResult real = EExtend.Execute(_processor, secs, page, offset);
        Expect("EEXTEND", $"page {page}+{offset:x} of {secs}", _model.EExtend(secs, page, offset), real);
    }

    private void Init(Step step) =>
        InitAt(step, AnyPage(step, step.A, entry => IsSecs(entry) && (!entry.Enclave!.IsInitialized || step.C % 16 == 0)));

    private void InitAt(Step step, int secsPage)
    {
        ModelEnclave? enclave = _model.Epcm.GetValueOrDefault(secsPage)?.Enclave;
        Threads thread = _threads[step.B % LogicalCount];
        Hash256 measurement = enclave is null ? default : ModelProcessor.MeasurementOf(enclave);
        SgxAttributes attributes = enclave?.Secs.Attributes ?? default;
        attributes.Flags &= ~AttributeFlags.INIT;
        TestSigner signer = step.C % 12 == 5 ? TestSigner.Second : TestSigner.First;
        SigStruct sig = TestSigner.Template(in measurement, attributes);
        sig.MiscSelect = enclave?.Secs.MiscSelect ?? 0;
        sig.IsvProdId = (ushort)(step.B % 3);
        sig.IsvSvn = (ushort)(step.C % 4);
        if (attributes.Flags.HasFlag(AttributeFlags.KSS)) sig.IsvFamilyId.AsSpan().Fill((byte)step.B);
        sig.IsvExtProdId.AsSpan().Fill((byte)step.C);
        sig.CetAttributes = (byte)(step.A % 3);
        if (step.Off == Off.Field) MisconfigureSig(step, ref sig);
        signer.Sign(ref sig);
        if (step.Off == Off.Bit && step.B % 2 == 0) Flip(Bytes.Writable(ref sig), step.Noise);

        EInitToken token = default;
        if (signer == TestSigner.Second || step.C % 4 == 2) token = NewToken(step, thread, signer, measurement, enclave?.Secs.Attributes ?? default);

        LeafResult real = EInit.Execute(_processor, thread.Real, Bytes.Of(in sig), secsPage, Bytes.Of(in token));
        Expect("EINIT", $"{secsPage}, token {token.Valid}", _model.EInit(thread.Model, in sig, secsPage, in token), real);
    }

    private static void MisconfigureSig(Step step, ref SigStruct sig)
    {
        switch (step.Noise % 13)
        {
            case 0: sig.Vendor = 1; break;
            case 1: sig.EnclaveHash.AsSpan()[0] ^= 1; break;
            case 2: sig.Attributes.Flags ^= AttributeFlags.DEBUG; break;
            case 3: sig.Attributes.Flags ^= AttributeFlags.DEBUG; sig.AttributeMask.Flags &= ~AttributeFlags.DEBUG; break;
            case 4: sig.Attributes.Xfrm ^= 4; break;
            case 5: sig.MiscSelect ^= MiscSelect.EXINFO; break;
            case 6: sig.MiscSelect ^= MiscSelect.EXINFO; sig.MiscMask = 0; break;
            case 7: sig.CetAttributes = 1; sig.CetAttributesMask = 1; break;
            case 8: sig.IsvFamilyId.AsSpan()[5] ^= 1; break;
            case 9: sig.Exponent = 5; break;
            case 10: Bytes.Writable(ref sig.Reserved2)[0] = 1; break;
            case 11: sig.CetAttributes = 1; break;
            default: sig.Vendor = 0x8086; break;
        }
    }

    private EInitToken NewToken(Step step, Threads thread, TestSigner signer, Hash256 measurement, SgxAttributes attributes)
    {
        EInitToken token = default;
        token.Valid = 1;
        token.Attributes = attributes;
        token.MrEnclave = measurement;
        token.MrSigner = signer.MrSigner;
        token.CpuSvnLe.AsSpan()[0] = 1;
        token.IsvSvnLe = (ushort)step.A;
        token.KeyId.AsSpan().Fill((byte)step.C);
        if (step.A % 4 == 0) token.MaskedAttributesLe.Flags = AttributeFlags.DEBUG;
        if (step.Off == Off.SecondPage)
        {
            switch (step.Noise % 8)
            {
                case 0: token.MaskedAttributesLe.Flags = AttributeFlags.DEBUG; break;
                case 1: token.Valid = 3; break;
                case 2: token.CpuSvnLe.AsSpan()[5] = 1; break;
                case 3: token.MrEnclave.AsSpan()[0] ^= 1; break;
                case 4: token.MrSigner.AsSpan()[0] ^= 1; break;
                case 5: token.Attributes.Xfrm ^= 4; break;
                case 6: Bytes.Writable(ref token.Reserved4)[0] = 1; break;
                default: token.Valid = 0; break;
            }
        }

        token.Mac = _model.TokenMac(thread.Model.LePubKeyHash, in token);
        if (step.Off == Off.Bit) Flip(Bytes.Writable(ref token), step.Noise);
        return token;
    }

    private void Remove(Step step)
    {
        int page = AnyPage(step, step.A, step.B % 2 == 0 ? IsChild : _ => true);
        LeafResult real = ERemove.Execute(_processor, page);
        Expect("EREMOVE", $"page {page}", _model.ERemove(page), real);
    }

    private void Pa(Step step)
    {
        int page = FreePage(step, step.A);
        PageType type = step.Off == Off.Field ? PageType.PT_REG : PageType.PT_VA;
        LeafResult real = EPa.Execute(_processor, type, page);
        Expect("EPA", $"page {page}, {type}", _model.EPa((ulong)type, page), real);
    }

    private void Block(int page) => Expect("EBLOCK", $"page {page}", _model.EBlock(page), EBlock.Execute(_processor, page));

    private void Track(int page) => Expect("ETRACK", $"page {page}", _model.ETrack(page), ETrack.Execute(_processor, page));

    private void TrackC(int page) => Expect("ETRACKC", $"page {page}", _model.ETrackC(page), ETrackC.Execute(_processor, page));

    private void Wb(Step step, int page)
    {
        if (!_model.Epcm.Values.Any(entry => entry.Type == PageType.PT_VA)) Pa(step with { Off = Off.None });
        int va = AnyPage(step, step.B, entry => entry.Type == PageType.PT_VA, Off.SecondPage);
        int slot = FreeSlot(step, va);
        byte[] ciphertext = new byte[4096];
        Pcmd pcmd = default;
        ulong address = 0;
        int vaOffset = slot * 8;
        if (step.Off == Off.Alignment) vaOffset += 4;
        if (step.Off == Off.Field) address = PageSize;

        LeafResult real = EWb.Execute(_processor, ciphertext, ref pcmd, ref address, page, va, vaOffset);
        SealedPage? written = null;
        Outcome expected = step.Off switch
        {
            Off.Alignment when InEpc(page) => Outcome.GP,
            Off.Field when InEpc(page) && InEpc(va) => Outcome.GP,
            _ => _model.Ewb(page, va, slot, out written),
        };
        Expect("EWB", $"page {page}, slot {slot} of {va}", expected, real);
        if (written is null) return;

        ulong handle = written.Entry.Type == PageType.PT_VA ? 0 : written.Entry.Enclave!.Eid;
        Same("PCMD.SECINFO.FLAGS", written.Entry.Flags, pcmd.SecInfo.Flags);
        Same("PCMD.SECINFO and reserved", true, pcmd.SecInfo.IsReservedZero && Bytes.IsZero(in pcmd.Reserved));
        Same("PCMD.ENCLAVEID", handle, pcmd.EnclaveId);
        Same("PAGEINFO.LINADDR", written.Entry.Address, address);
        _evicted.Add(new Evicted(ciphertext, pcmd, written));
    }

    private static bool InEpc(int page) => page is >= 0 and < PageCount;

    private int FreeSlot(Step step, int va)
    {
        if (step.C % 16 == 0 || !_model.Contents.TryGetValue(va, out byte[]? contents)) return step.C % 4;
        ReadOnlySpan<ulong> slots = MemoryMarshal.Cast<byte, ulong>(contents.AsSpan());
        int free = slots.IndexOf(0UL);
        return free < 0 ? 0 : free;
    }

    private void Swap(Step step)
    {
        int page = AnyPage(step, step.A, IsChild);
        if (_model.Epcm.GetValueOrDefault(page) is not { IsChild: true } entry) return;

        if (!entry.Blocked) Block(page);
        Track(entry.Enclave!.SecsPage!.Value);
        foreach (Threads thread in _threads.Where(thread => thread.Model.Enclave == entry.Enclave))
        {
            Interrupt(thread, null, step);
        }

        Wb(step with { Off = Off.None }, page);
    }

    private void Ld(Step step)
    {
        if (_evicted.Count == 0) return;

        // Mostly one that is still current, sometimes any.
        List<Evicted> current = [.. _evicted.Where(e => FindSlot(e.Sealed.Version) is not null)];
        Evicted chosen = Pick(step.B % 8 != 0 && current.Count > 0 ? current : _evicted, step.B)!;
        (int Va, int Slot) cell = FindSlot(chosen.Sealed.Version)
            ?? (AnyPage(step, step.B, entry => entry.Type == PageType.PT_VA, Off.None), step.C % 4);
        int page = FreePage(step, step.A);
        byte[] ciphertext = [.. chosen.Ciphertext];
        Pcmd pcmd = chosen.Pcmd;
        ulong address = chosen.Sealed.Entry.Address;
        int? secs = chosen.Sealed.Entry.IsChild ? chosen.Sealed.Entry.Enclave!.SecsPage ?? (step.C % 2 == 0 ? AnyPage(step, step.C, IsSecs, Off.None) : null) : null;
        bool intact = true;
        int vaOffset = cell.Slot * 8;
        switch (step.Off)
        {
            case Off.SecondPage when step.C % 2 == 0: secs = AnyPage(step, step.C, IsSecs, Off.None); break;
            case Off.SecondPage: cell.Va = step.C % PageCount; break;
            case Off.Field: address ^= PageSize; break;
            case Off.Alignment: vaOffset += 4; break;
            case Off.Bit:
                intact = Tamper(step, ciphertext, ref pcmd);
                break;
        }

        PresentedPage presented = new(chosen.Sealed, intact, pcmd.SecInfo.Flags, address);
        bool blocked = step.C % 2 == 0;
        bool oversub = step.C % 3 == 0;
        int secsOperand = secs ?? NoSecs;

        // That PAGEINFO.SECS is zero for a SECS and a version array is for whoever reads PAGEINFO to check.
        bool bound = pcmd.SecInfo.PageType is PageType.PT_REG or PageType.PT_TCS or PageType.PT_TRIM;
        LeafResult real = (blocked, oversub) switch
        {
            (true, false) => ELdb.Execute(_processor, ciphertext, in pcmd, address, secsOperand, page, cell.Va, vaOffset),
            (false, false) => ELdu.Execute(_processor, ciphertext, in pcmd, address, secsOperand, page, cell.Va, vaOffset),
            (true, true) => ELdbc.Execute(_processor, ciphertext, in pcmd, address, secsOperand, page, cell.Va, vaOffset),
            (false, true) => ELduc.Execute(_processor, ciphertext, in pcmd, address, secsOperand, page, cell.Va, vaOffset),
        };
        Outcome expected = step.Off == Off.Alignment && InEpc(page)
            ? Outcome.GP
            : _model.Eld(page, presented, bound ? secs : null, cell.Va, cell.Slot, blocked, oversub);
        string name = $"ELD{(blocked ? 'B' : 'U')}{(oversub ? "C" : "")}";
        Expect(name, $"page {page} from slot {cell.Slot} of {cell.Va}, secs {secs}, {pcmd.SecInfo.Flags:x} at {address:x}", expected, real);
        if (expected.IsOk && chosen.Sealed.Entry.IsChild) _space.Map(address, page);
    }

    /// <summary>PAGEINFO.SECS of zero: no SECS.</summary>
    private const int NoSecs = -1;

    private (int Va, int Slot)? FindSlot(ulong version)
    {
        foreach ((int page, ModelEntry entry) in _model.Epcm)
        {
            if (entry.Type != PageType.PT_VA) continue;
            int slot = MemoryMarshal.Cast<byte, ulong>(_model.Contents[page].AsSpan()).IndexOf(version);
            if (slot >= 0) return (page, slot);
        }

        return null;
    }

    /// <summary>Changes one bit somewhere; true if that is one that nothing depends on, or SECINFO, which the model knows of.</summary>
    private static bool Tamper(Step step, byte[] ciphertext, ref Pcmd pcmd)
    {
        switch (step.C % 4)
        {
            case 0: Flip(ciphertext, step.Noise * 13); return false;
            case 1: Flip(pcmd.Mac.AsSpan(), step.Noise); return false;
            case 2: Flip(Bytes.Writable(ref pcmd.Reserved), step.Noise); return false;
            default: pcmd.SecInfo.Flags ^= (SecInfoFlags)(1UL << (step.Noise % 64)); return true;
        }
    }

    private void Aug(Step step)
    {
        int page = FreePage(step, step.A);
        int secs = AnyPage(step, step.B, entry => IsSecs(entry) && (entry.Enclave!.IsInitialized || step.C % 16 == 0), Off.SecondPage);
        ulong @base = _model.Epcm.GetValueOrDefault(secs)?.Enclave?.Secs.BaseAddress ?? FirstBase;
        ulong address = @base + ((ulong)(FirstFree + (step.C % 4)) * PageSize);
        SecInfo? info = null;
        if (step.Off == Off.Outside) address = @base + (step.C % 2 == 0 ? EnclaveSize : ~0xFFFUL);
        if (step.Off == Off.Alignment) address += 8;
        if (step.Off == Off.Field) info = SecInfo.For(step.C % 2 == 0 ? PageType.PT_SS_FIRST : PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.W);

        LeafResult real = EAug.Execute(_processor, info, address, secs, page);
        Outcome expected = Expect("EAUG", $"page {page} at {address:x} of {secs}", _model.EAug(info, address, secs, page), real);
        if (expected.IsOk) _space.Map(address, page);
    }

    private void ModPr(Step step)
    {
        int page = AnyPage(step, step.A, entry => entry.Type == PageType.PT_REG && entry.Address % EnclaveSize >= FirstFree * PageSize);
        SecInfo info = SecInfo.For(PageType.PT_REG, (SecInfoFlags)(step.B % 8 is 2 or 6 ? 1 : step.B % 8));
        if (step.Off is Off.Field or Off.Bit) Misconfigure(step, ref info);
        LeafResult real = EModPr.Execute(_processor, in info, page);
        Expect("EMODPR", $"page {page}, {info.Flags:x}", _model.EModPr(in info, page), real);
    }

    private void ModT(Step step)
    {
        int page = AnyPage(step, step.A, entry => entry.Type == PageType.PT_REG && entry.Address % EnclaveSize >= FirstFree * PageSize);
        SecInfo info = SecInfo.For(step.B % 3 == 0 ? PageType.PT_TCS : PageType.PT_TRIM, (SecInfoFlags)(step.C % 8));
        if (step.Off is Off.Field or Off.Bit) Misconfigure(step, ref info);
        LeafResult real = EModT.Execute(_processor, in info, page);
        Expect("EMODT", $"page {page}, {info.Flags:x}", _model.EModT(in info, page), real);
    }

    private void DbgRd(Step step)
    {
        int page = AnyPage(step, step.A, entry => entry.Type != PageType.PT_SECS);
        int offset = step.B % 32 * 8;
        if (step.Off == Off.Alignment) offset += 4;
        if (step.Off == Off.Field) offset = 4096;
        LeafResult real = EDbgRd.Execute(_processor, page, offset, out ulong value);
        Outcome expected = Expect("EDBGRD", $"page {page}+{offset:x}", _model.EDbgRd(page, offset, out ulong wanted), real);
        if (expected.IsOk) Same("RBX", wanted, value);
    }

    private void DbgWr(Step step)
    {
        int page = AnyPage(step, step.A, entry => entry.IsChild);
        int offset = step.B % 4 == 0 ? 8 : step.B % 16 * 8;
        if (step.Off == Off.Alignment) offset += 4;
        if (step.Off == Off.Field) offset = 4096;
        ulong value = _model.Epcm.GetValueOrDefault(page)?.Type == PageType.PT_TCS ? (ulong)(step.C % 5) : (ulong)step.Noise;
        LeafResult real = EDbgWr.Execute(_processor, value, page, offset);
        Expect("EDBGWR", $"page {page}+{offset:x} := {value:x}", _model.EDbgWr(page, offset, value), real);
    }

    private void RdInfo(Step step)
    {
        int page = AnyPage(step, step.A, _ => true);
        RdInfo info = default;
        LeafResult real = ERdInfo.Execute(_processor, ref info, page);
        Outcome expected = Expect("ERDINFO", $"page {page}", _model.ERdInfo(page, out ModelEntry? entry, out bool childPresent), real);
        if (!expected.IsOk) return;

        Same("RDINFO.FLAGS", entry!.Flags | (entry.Blocked ? Architecture.RdInfo.Blocked : 0), info.Flags);
        Same("RDINFO.ENCLAVECONTEXT", (ulong)(entry.Enclave?.SecsPage ?? 0) * PageSize, info.EnclaveContext);
        Same("RDINFO.STATUS", childPresent ? RdInfoStatus.CHLDPRESENT : 0, info.Status);
    }

    private static void Flip(Span<byte> bytes, int bit) => bytes[bit / 8 % bytes.Length] ^= (byte)(1 << (bit % 8));
}
