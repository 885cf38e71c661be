using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using SoftSgx.Architecture;

namespace SoftSgx.Processor.Model;

/// <summary>ECREATE, EADD, EEXTEND, EINIT and EREMOVE. SDM vol. 3D, the pages of those names.</summary>
public sealed partial class ModelProcessor
{
    /// <summary>ENCLS[ECREATE].</summary>
    public Outcome ECreate(in Secs source, in SecInfo secInfo, ulong linearAddress, int page)
    {
        if (!IsEpc(page)) return Outcome.PF(page);
        if (linearAddress != 0) return Outcome.GP;
        if (!IsReservedZero(in secInfo)) return Outcome.GP;
        if (secInfo.PageType != PageType.PT_SECS) return Outcome.GP;
        if (EntryOf(page) is not null) return Outcome.PF(page);

        bool mode64 = source.Attributes.Flags.HasFlag(AttributeFlags.MODE64BIT);
        bool kss = source.Attributes.Flags.HasFlag(AttributeFlags.KSS);
        ulong misc = source.MiscSelect.HasFlag(MiscSelect.EXINFO) ? 16UL : 0;
        if (!IsXfrmLegal(source.Attributes.Xfrm)) return Outcome.GP;
        if (source.CetAttributes != 0 || source.CetLegacyBitmapOffset != 0) return Outcome.GP;
        if ((source.MiscSelect & ~configuration.Misc) != 0) return Outcome.GP;
        if (source.SsaFrameSize * PageSize < (ulong)XsaveSize(source.Attributes.Xfrm) + 184 + misc) return Outcome.GP;
        if (mode64 && !Canonical(source.BaseAddress)) return Outcome.GP;
        if (!mode64 && source.BaseAddress > uint.MaxValue) return Outcome.GP;
        if (source.EnclaveSize >= 1UL << (mode64 ? configuration.SizeLog2.Mode64 : configuration.SizeLog2.Other)) return Outcome.GP;
        if (source.EnclaveSize < 8192 || BitOperations.PopCount(source.EnclaveSize) != 1) return Outcome.GP;
        if (source.BaseAddress % source.EnclaveSize != 0) return Outcome.GP;
        if ((source.Attributes.Flags & ~configuration.Attributes) != 0) return Outcome.GP;
        if (!Bytes.IsZero(in source.Reserved1) || !Bytes.IsZero(in source.Reserved2)) return Outcome.GP;
        if (!Bytes.IsZero(in source.Reserved3) || !Bytes.IsZero(in source.Reserved4)) return Outcome.GP;
        if (!kss && (!source.ConfigId.IsZero || source.ConfigSvn != 0)) return Outcome.GP;

        ModelEnclave enclave = new() { Eid = _nextEid++, Secs = source, SecsPage = page };
        enclave.Secs.MrEnclave = default;
        enclave.Secs.MrSigner = default;
        enclave.Secs.IsvProdId = 0;
        enclave.Secs.IsvSvn = 0;
        Measure(enclave, "ECREATE", [.. Little(source.SsaFrameSize), .. Little(source.EnclaveSize)]);
        Epcm[page] = new ModelEntry(PageType.PT_SECS, 0, 0, enclave);
        return Outcome.Ok;
    }

    /// <summary>ENCLS[EADD].</summary>
    public Outcome EAdd(ReadOnlySpan<byte> source, in SecInfo secInfo, ulong linearAddress, int secsPage, int page)
    {
        if (!IsEpc(page)) return Outcome.PF(page);
        if (linearAddress % PageSize != 0) return Outcome.GP;
        if (!IsEpc(secsPage)) return Outcome.PF(secsPage);
        if (!IsReservedZero(in secInfo)) return Outcome.GP;
        if (secInfo.PageType is not (PageType.PT_REG or PageType.PT_TCS)) return Outcome.GP;
        if (page == secsPage && IsSecs(page)) return Outcome.PF(page);
        if (EntryOf(page) is not null) return Outcome.PF(page);
        if (page == secsPage) return Outcome.GP;
        if (!IsSecs(secsPage)) return Outcome.PF(secsPage);

        ModelEnclave enclave = Epcm[secsPage].Enclave!;
        byte[] contents = source.ToArray();
        SecInfo measured = secInfo;
        if (secInfo.PageType == PageType.PT_TCS)
        {
            Tcs tcs = MemoryMarshal.Read<Tcs>(source);
            bool mode64 = enclave.Secs.Attributes.Flags.HasFlag(AttributeFlags.MODE64BIT);
            if (!Bytes.IsZero(in tcs.Reserved) || tcs.OCetSsa != 0 || tcs.PrevSsp != 0) return Outcome.GP;
            if (!mode64 && ((tcs.FsLimit & 0xFFF) != 0xFFF || (tcs.GsLimit & 0xFFF) != 0xFFF)) return Outcome.GP;
        }
        else if (secInfo.Flags.HasFlag(SecInfoFlags.W) && !secInfo.Flags.HasFlag(SecInfoFlags.R))
        {
            return Outcome.GP;
        }

        if (!IsInRange(enclave, linearAddress)) return Outcome.GP;
        if (enclave.IsInitialized) return Outcome.GP;

        if (secInfo.PageType == PageType.PT_TCS)
        {
            measured.Flags &= ~SecInfoFlags.RWX;
            ref Tcs tcs = ref MemoryMarshal.AsRef<Tcs>(contents.AsSpan());
            tcs.Flags &= ~TcsFlags.DBGOPTIN;
            tcs.CSsa = 0;
            tcs.Aep = 0;
            tcs.State = 0;
        }

        Measure(enclave, "EADD", [.. Little(linearAddress - enclave.Secs.BaseAddress), .. Bytes.Of(in measured)[..48]]);
        Epcm[page] = new ModelEntry(secInfo.PageType, measured.Permissions, linearAddress, enclave);
        Contents[page] = contents;
        return Outcome.Ok;
    }

    /// <summary>ENCLS[EEXTEND].</summary>
    public Outcome EExtend(int secsPage, int page, int offset)
    {
        if (!IsEpc(secsPage)) return Outcome.PF(secsPage);
        if (offset < 0 || offset >= 4096 || offset % 256 != 0) return Outcome.GP;
        if (!IsEpc(page)) return Outcome.PF(page);
        if (EntryOf(page) is not { } entry) return Outcome.PF(page);
        if (entry.Type is not (PageType.PT_REG or PageType.PT_TCS)) return Outcome.PF(page);
        if (entry.Enclave!.SecsPage != secsPage) return Outcome.GP;
        if (entry.Enclave.IsInitialized) return Outcome.GP;

        Measure(entry.Enclave, "EEXTEND", Little(entry.Address - entry.Enclave.Secs.BaseAddress + (ulong)offset));
        entry.Enclave.Measured.AddRange(Contents[page].AsSpan(offset, 256));
        return Outcome.Ok;
    }

    /// <summary>ENCLS[EINIT].</summary>
    public Outcome EInit(ModelLogicalProcessor logical, in SigStruct sig, int secsPage, in EInitToken token)
    {
        if (!IsEpc(secsPage)) return Outcome.PF(secsPage);
        if (!IsWellFormed(in sig)) return Outcome.Of(SgxError.SGX_INVALID_SIG_STRUCT);
        if (!Signature.IsValid(in sig)) return Outcome.Of(SgxError.SGX_INVALID_SIGNATURE);
        if (!IsSecs(secsPage)) return Outcome.PF(secsPage);

        ModelEnclave enclave = Epcm[secsPage].Enclave!;
        ref Secs secs = ref enclave.Secs;
        if (!sig.IsvFamilyId.IsZero && !secs.Attributes.Flags.HasFlag(AttributeFlags.KSS)) return Outcome.Of(SgxError.SGX_INVALID_SIG_STRUCT);
        if (enclave.IsInitialized) return Outcome.GP;

        Hash256 measurement = MeasurementOf(enclave);
        Hash256 signer = Hash256.From(SHA256.HashData(sig.Modulus.AsReadOnlySpan()));
        bool authorized = signer == logical.LePubKeyHash;
        if (sig.EnclaveHash != measurement) return Outcome.Of(SgxError.SGX_INVALID_MEASUREMENT);
        if (secs.Attributes.Flags.HasFlag(AttributeFlags.EINITTOKEN_KEY) && !authorized) return Outcome.Of(SgxError.SGX_INVALID_ATTRIBUTE);
        if ((secs.Attributes & sig.AttributeMask) != (sig.Attributes & sig.AttributeMask)) return Outcome.Of(SgxError.SGX_INVALID_ATTRIBUTE);
        if ((secs.MiscSelect & sig.MiscMask) != (sig.MiscSelect & sig.MiscMask)) return Outcome.Of(SgxError.SGX_INVALID_ATTRIBUTE);
        if ((secs.CetAttributes & sig.CetAttributesMask) != (sig.CetAttributes & sig.CetAttributesMask)) return Outcome.Of(SgxError.SGX_INVALID_ATTRIBUTE);

        SgxError refused = (token.Valid & 1) != 0 ? CheckToken(logical, enclave, in token, measurement, signer)
            : authorized ? SgxError.SGX_SUCCESS : SgxError.SGX_INVALID_EINITTOKEN;
        if (refused != SgxError.SGX_SUCCESS) return Outcome.Of(refused);

        secs.MrEnclave = measurement;
        secs.MrSigner = signer;
        secs.IsvProdId = sig.IsvProdId;
        secs.IsvSvn = sig.IsvSvn;
        secs.Attributes.Flags |= AttributeFlags.INIT;
        enclave.FamilyId = sig.IsvFamilyId;
        enclave.ExtProdId = sig.IsvExtProdId;
        return Outcome.Ok;
    }

    /// <summary>ENCLS[EREMOVE].</summary>
    public Outcome ERemove(int page)
    {
        if (!IsEpc(page)) return Outcome.PF(page);
        if (EntryOf(page) is not { } entry) return Outcome.Ok;

        bool trimmed = entry.Type == PageType.PT_TRIM && !entry.Modified;
        if (entry.Type == PageType.PT_SECS && ChildCount(entry.Enclave!) != 0) return Outcome.Of(SgxError.SGX_CHILD_PRESENT);
        if (entry.IsChild && !trimmed && ThreadsInside(entry.Enclave!) != 0) return Outcome.Of(SgxError.SGX_ENCLAVE_ACT);

        Free(page);
        return Outcome.Ok;
    }

    /// <summary>MRENCLAVE as EINIT would now have it.</summary>
    public static Hash256 MeasurementOf(ModelEnclave enclave) =>
        Hash256.From(SHA256.HashData(CollectionsMarshal.AsSpan(enclave.Measured)));

    private static bool IsInRange(ModelEnclave enclave, ulong address) =>
        address >= enclave.Secs.BaseAddress && address < enclave.Secs.BaseAddress + enclave.Secs.EnclaveSize;

    /// <summary>A record of 64 bytes: eight of the name, the fields, zeros.</summary>
    private static void Measure(ModelEnclave enclave, string name, byte[] fields)
    {
        byte[] record = new byte[64];
        Encoding.ASCII.GetBytes(name).CopyTo(record, 0);
        fields.CopyTo(record, 8);
        enclave.Measured.AddRange(record);
    }

    private static byte[] Little(ulong value)
    {
        byte[] bytes = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(bytes, value);
        return bytes;
    }

    private static byte[] Little(uint value) => Little((ulong)value)[..4];

    private bool IsXfrmLegal(ulong xfrm)
    {
        bool Has(int bit) => (xfrm >> bit & 1) != 0;
        if (!Has(0) || !Has(1)) return false;
        if ((xfrm & ~configuration.Xfrm) != 0) return false;
        if (Has(3) != Has(4)) return false;
        if (Has(5) != Has(6) || Has(6) != Has(7)) return false;
        if (Has(5) && !Has(2)) return false;
        return Has(17) == Has(18);
    }

    private static bool IsWellFormed(in SigStruct sig)
    {
        const string Header = "06000000e10000000000010000000000";
        const string Header2 = "01010000600000006000000001000000";
        if (sig.Header.ToString() != Header || sig.Header2.ToString() != Header2) return false;
        if (sig.Vendor is not (0 or 0x8086) || sig.Exponent != 3) return false;
        return Bytes.IsZero(in sig.Reserved1) && Bytes.IsZero(in sig.Reserved2) && Bytes.IsZero(in sig.Reserved3) && Bytes.IsZero(in sig.Reserved4);
    }

    private SgxError CheckToken(ModelLogicalProcessor logical, ModelEnclave enclave, in EInitToken token, Hash256 measurement, Hash256 signer)
    {
        bool launcherDebug = token.MaskedAttributesLe.Flags.HasFlag(AttributeFlags.DEBUG);
        bool enclaveDebug = enclave.Secs.Attributes.Flags.HasFlag(AttributeFlags.DEBUG);
        if (launcherDebug && !enclaveDebug) return SgxError.SGX_INVALID_EINITTOKEN;
        if (token.Valid != 1) return SgxError.SGX_INVALID_EINITTOKEN;
        if (!Bytes.IsZero(in token.Reserved1) || !Bytes.IsZero(in token.Reserved2)) return SgxError.SGX_INVALID_EINITTOKEN;
        if (!Bytes.IsZero(in token.Reserved3) || !Bytes.IsZero(in token.Reserved4)) return SgxError.SGX_INVALID_EINITTOKEN;
        if (IsBeyondCpuSvn(token.CpuSvnLe.AsReadOnlySpan())) return SgxError.SGX_INVALID_CPUSVN;
        if (token.Mac != TokenMac(logical.LePubKeyHash, in token)) return SgxError.SGX_INVALID_EINITTOKEN;
        if (token.MrEnclave != measurement || token.MrSigner != signer) return SgxError.SGX_INVALID_MEASUREMENT;
        return token.Attributes != enclave.Secs.Attributes ? SgxError.SGX_INVALID_ATTRIBUTE : SgxError.SGX_SUCCESS;
    }
}
