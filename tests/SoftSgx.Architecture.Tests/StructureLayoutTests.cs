using System.Reflection;
using System.Runtime.CompilerServices;

namespace SoftSgx.Architecture.Tests;

/// <summary>Sizes and offsets of every structure, written down a second time from the manual's tables.</summary>
public class StructureLayoutTests
{
    private delegate ref TField FieldOf<TStruct, TField>(ref TStruct structure);

    private static Dictionary<Type, HashSet<string>> Covered { get; } = [];

    public static TheoryData<string, int, int> Offsets { get; } = BuildOffsets();

    public static TheoryData<string, int, int, int> Sizes { get; } = BuildSizes();

    [Theory]
    [MemberData(nameof(Offsets))]
    public void Field_lies_where_the_manual_says(string field, int expected, int actual) => Assert.True(expected == actual, $"{field}: {actual}, not {expected}");

    [Theory]
    [MemberData(nameof(Sizes))]
    public void Structure_has_the_size_of_the_manual(string structure, int expected, int constant, int actual)
    {
        Assert.True(expected == constant, $"{structure}.Size is {constant}, not {expected}");
        Assert.True(expected == actual, $"{structure} takes {actual} bytes, not {expected}");
    }

    [Fact]
    public void Every_field_of_every_structure_is_checked()
    {
        IEnumerable<Type> structures = typeof(Secs).Assembly.GetExportedTypes().Where(type =>
            type.IsValueType && !type.IsEnum && type.GetField("Size", BindingFlags.Public | BindingFlags.Static) is not null
            && type.GetCustomAttribute<InlineArrayAttribute>() is null);

        foreach (Type structure in structures)
        {
            string[] fields = [.. structure.GetFields(BindingFlags.Public | BindingFlags.Instance).Select(field => field.Name).Order()];
            Assert.True(Covered.TryGetValue(structure, out HashSet<string>? covered), $"no offsets of {structure.Name} are checked");
            Assert.Equal(fields, covered.Order());
        }
    }

    private static TheoryData<string, int, int, int> BuildSizes() => new()
    {
        { nameof(Secs), 4096, Secs.Size, Unsafe.SizeOf<Secs>() },
        { nameof(Tcs), 4096, Tcs.Size, Unsafe.SizeOf<Tcs>() },
        { nameof(SecInfo), 64, SecInfo.Size, Unsafe.SizeOf<SecInfo>() },
        { nameof(PageInfo), 32, PageInfo.Size, Unsafe.SizeOf<PageInfo>() },
        { nameof(SigStruct), 1808, SigStruct.Size, Unsafe.SizeOf<SigStruct>() },
        { nameof(EInitToken), 304, EInitToken.Size, Unsafe.SizeOf<EInitToken>() },
        { nameof(ReportBody), 384, ReportBody.Size, Unsafe.SizeOf<ReportBody>() },
        { nameof(Report), 432, Report.Size, Unsafe.SizeOf<Report>() },
        { nameof(ReportType), 4, ReportType.Size, Unsafe.SizeOf<ReportType>() },
        { nameof(TargetInfo), 512, TargetInfo.Size, Unsafe.SizeOf<TargetInfo>() },
        { nameof(KeyRequest), 512, KeyRequest.Size, Unsafe.SizeOf<KeyRequest>() },
        { nameof(GprSgx), 184, GprSgx.Size, Unsafe.SizeOf<GprSgx>() },
        { nameof(ExInfo), 16, ExInfo.Size, Unsafe.SizeOf<ExInfo>() },
        { nameof(ExitInfo), 4, ExitInfo.Size, Unsafe.SizeOf<ExitInfo>() },
        { nameof(Pcmd), 128, Pcmd.Size, Unsafe.SizeOf<Pcmd>() },
        { nameof(RdInfo), 32, RdInfo.Size, Unsafe.SizeOf<RdInfo>() },
        { nameof(VersionArray), 4096, VersionArray.Size, Unsafe.SizeOf<VersionArray>() },
        { nameof(SgxAttributes), 16, SgxAttributes.Size, Unsafe.SizeOf<SgxAttributes>() },
        { nameof(Hash256), 32, Hash256.Size, Unsafe.SizeOf<Hash256>() },
        { nameof(Key128), 16, Key128.Size, Unsafe.SizeOf<Key128>() },
        { nameof(Bytes16), 16, Bytes16.Size, Unsafe.SizeOf<Bytes16>() },
        { nameof(Bytes32), 32, Bytes32.Size, Unsafe.SizeOf<Bytes32>() },
        { nameof(Bytes64), 64, Bytes64.Size, Unsafe.SizeOf<Bytes64>() },
        { nameof(Bytes384), 384, Bytes384.Size, Unsafe.SizeOf<Bytes384>() },
    };

    private static TheoryData<string, int, int> BuildOffsets()
    {
        TheoryData<string, int, int> data = [];
        At<Secs, ulong>(data, "EnclaveSize", 0, (ref Secs s) => ref s.EnclaveSize);
        At<Secs, ulong>(data, "BaseAddress", 8, (ref Secs s) => ref s.BaseAddress);
        At<Secs, uint>(data, "SsaFrameSize", 16, (ref Secs s) => ref s.SsaFrameSize);
        At<Secs, MiscSelect>(data, "MiscSelect", 20, (ref Secs s) => ref s.MiscSelect);
        At<Secs, ulong>(data, "CetLegacyBitmapOffset", 24, (ref Secs s) => ref s.CetLegacyBitmapOffset);
        At<Secs, byte>(data, "CetAttributes", 32, (ref Secs s) => ref s.CetAttributes);
        At<Secs, Reserved15>(data, "Reserved1", 33, (ref Secs s) => ref s.Reserved1);
        At<Secs, SgxAttributes>(data, "Attributes", 48, (ref Secs s) => ref s.Attributes);
        At<Secs, Hash256>(data, "MrEnclave", 64, (ref Secs s) => ref s.MrEnclave);
        At<Secs, Reserved32>(data, "Reserved2", 96, (ref Secs s) => ref s.Reserved2);
        At<Secs, Hash256>(data, "MrSigner", 128, (ref Secs s) => ref s.MrSigner);
        At<Secs, Reserved32>(data, "Reserved3", 160, (ref Secs s) => ref s.Reserved3);
        At<Secs, Bytes64>(data, "ConfigId", 192, (ref Secs s) => ref s.ConfigId);
        At<Secs, ushort>(data, "IsvProdId", 256, (ref Secs s) => ref s.IsvProdId);
        At<Secs, ushort>(data, "IsvSvn", 258, (ref Secs s) => ref s.IsvSvn);
        At<Secs, ushort>(data, "ConfigSvn", 260, (ref Secs s) => ref s.ConfigSvn);
        At<Secs, Reserved3834>(data, "Reserved4", 262, (ref Secs s) => ref s.Reserved4);

        At<Tcs, ulong>(data, "State", 0, (ref Tcs s) => ref s.State);
        At<Tcs, TcsFlags>(data, "Flags", 8, (ref Tcs s) => ref s.Flags);
        At<Tcs, ulong>(data, "OSsa", 16, (ref Tcs s) => ref s.OSsa);
        At<Tcs, uint>(data, "CSsa", 24, (ref Tcs s) => ref s.CSsa);
        At<Tcs, uint>(data, "NSsa", 28, (ref Tcs s) => ref s.NSsa);
        At<Tcs, ulong>(data, "OEntry", 32, (ref Tcs s) => ref s.OEntry);
        At<Tcs, ulong>(data, "Aep", 40, (ref Tcs s) => ref s.Aep);
        At<Tcs, ulong>(data, "OFsBase", 48, (ref Tcs s) => ref s.OFsBase);
        At<Tcs, ulong>(data, "OGsBase", 56, (ref Tcs s) => ref s.OGsBase);
        At<Tcs, uint>(data, "FsLimit", 64, (ref Tcs s) => ref s.FsLimit);
        At<Tcs, uint>(data, "GsLimit", 68, (ref Tcs s) => ref s.GsLimit);
        At<Tcs, ulong>(data, "OCetSsa", 72, (ref Tcs s) => ref s.OCetSsa);
        At<Tcs, ulong>(data, "PrevSsp", 80, (ref Tcs s) => ref s.PrevSsp);
        At<Tcs, Reserved4008>(data, "Reserved", 88, (ref Tcs s) => ref s.Reserved);

        At<SecInfo, SecInfoFlags>(data, "Flags", 0, (ref SecInfo s) => ref s.Flags);
        At<SecInfo, Reserved56>(data, "Reserved", 8, (ref SecInfo s) => ref s.Reserved);

        At<PageInfo, ulong>(data, "LinAddr", 0, (ref PageInfo s) => ref s.LinAddr);
        At<PageInfo, ulong>(data, "SrcPge", 8, (ref PageInfo s) => ref s.SrcPge);
        At<PageInfo, ulong>(data, "SecInfo", 16, (ref PageInfo s) => ref s.SecInfo);
        At<PageInfo, ulong>(data, "Secs", 24, (ref PageInfo s) => ref s.Secs);

        At<SigStruct, Bytes16>(data, "Header", 0, (ref SigStruct s) => ref s.Header);
        At<SigStruct, uint>(data, "Vendor", 16, (ref SigStruct s) => ref s.Vendor);
        At<SigStruct, uint>(data, "Date", 20, (ref SigStruct s) => ref s.Date);
        At<SigStruct, Bytes16>(data, "Header2", 24, (ref SigStruct s) => ref s.Header2);
        At<SigStruct, uint>(data, "SwDefined", 40, (ref SigStruct s) => ref s.SwDefined);
        At<SigStruct, Reserved84>(data, "Reserved1", 44, (ref SigStruct s) => ref s.Reserved1);
        At<SigStruct, Bytes384>(data, "Modulus", 128, (ref SigStruct s) => ref s.Modulus);
        At<SigStruct, uint>(data, "Exponent", 512, (ref SigStruct s) => ref s.Exponent);
        At<SigStruct, Bytes384>(data, "Signature", 516, (ref SigStruct s) => ref s.Signature);
        At<SigStruct, MiscSelect>(data, "MiscSelect", 900, (ref SigStruct s) => ref s.MiscSelect);
        At<SigStruct, MiscSelect>(data, "MiscMask", 904, (ref SigStruct s) => ref s.MiscMask);
        At<SigStruct, byte>(data, "CetAttributes", 908, (ref SigStruct s) => ref s.CetAttributes);
        At<SigStruct, byte>(data, "CetAttributesMask", 909, (ref SigStruct s) => ref s.CetAttributesMask);
        At<SigStruct, Reserved2>(data, "Reserved2", 910, (ref SigStruct s) => ref s.Reserved2);
        At<SigStruct, Bytes16>(data, "IsvFamilyId", 912, (ref SigStruct s) => ref s.IsvFamilyId);
        At<SigStruct, SgxAttributes>(data, "Attributes", 928, (ref SigStruct s) => ref s.Attributes);
        At<SigStruct, SgxAttributes>(data, "AttributeMask", 944, (ref SigStruct s) => ref s.AttributeMask);
        At<SigStruct, Hash256>(data, "EnclaveHash", 960, (ref SigStruct s) => ref s.EnclaveHash);
        At<SigStruct, Reserved16>(data, "Reserved3", 992, (ref SigStruct s) => ref s.Reserved3);
        At<SigStruct, Bytes16>(data, "IsvExtProdId", 1008, (ref SigStruct s) => ref s.IsvExtProdId);
        At<SigStruct, ushort>(data, "IsvProdId", 1024, (ref SigStruct s) => ref s.IsvProdId);
        At<SigStruct, ushort>(data, "IsvSvn", 1026, (ref SigStruct s) => ref s.IsvSvn);
        At<SigStruct, Reserved12>(data, "Reserved4", 1028, (ref SigStruct s) => ref s.Reserved4);
        At<SigStruct, Bytes384>(data, "Q1", 1040, (ref SigStruct s) => ref s.Q1);
        At<SigStruct, Bytes384>(data, "Q2", 1424, (ref SigStruct s) => ref s.Q2);

        At<EInitToken, uint>(data, "Valid", 0, (ref EInitToken s) => ref s.Valid);
        At<EInitToken, Reserved44>(data, "Reserved1", 4, (ref EInitToken s) => ref s.Reserved1);
        At<EInitToken, SgxAttributes>(data, "Attributes", 48, (ref EInitToken s) => ref s.Attributes);
        At<EInitToken, Hash256>(data, "MrEnclave", 64, (ref EInitToken s) => ref s.MrEnclave);
        At<EInitToken, Reserved32>(data, "Reserved2", 96, (ref EInitToken s) => ref s.Reserved2);
        At<EInitToken, Hash256>(data, "MrSigner", 128, (ref EInitToken s) => ref s.MrSigner);
        At<EInitToken, Reserved32>(data, "Reserved3", 160, (ref EInitToken s) => ref s.Reserved3);
        At<EInitToken, Bytes16>(data, "CpuSvnLe", 192, (ref EInitToken s) => ref s.CpuSvnLe);
        At<EInitToken, ushort>(data, "IsvProdIdLe", 208, (ref EInitToken s) => ref s.IsvProdIdLe);
        At<EInitToken, ushort>(data, "IsvSvnLe", 210, (ref EInitToken s) => ref s.IsvSvnLe);
        At<EInitToken, Reserved24>(data, "Reserved4", 212, (ref EInitToken s) => ref s.Reserved4);
        At<EInitToken, MiscSelect>(data, "MaskedMiscSelectLe", 236, (ref EInitToken s) => ref s.MaskedMiscSelectLe);
        At<EInitToken, SgxAttributes>(data, "MaskedAttributesLe", 240, (ref EInitToken s) => ref s.MaskedAttributesLe);
        At<EInitToken, Bytes32>(data, "KeyId", 256, (ref EInitToken s) => ref s.KeyId);
        At<EInitToken, Key128>(data, "Mac", 288, (ref EInitToken s) => ref s.Mac);

        At<ReportBody, Bytes16>(data, "CpuSvn", 0, (ref ReportBody s) => ref s.CpuSvn);
        At<ReportBody, MiscSelect>(data, "MiscSelect", 16, (ref ReportBody s) => ref s.MiscSelect);
        At<ReportBody, byte>(data, "CetAttributes", 20, (ref ReportBody s) => ref s.CetAttributes);
        At<ReportBody, Reserved11>(data, "Reserved1", 21, (ref ReportBody s) => ref s.Reserved1);
        At<ReportBody, Bytes16>(data, "IsvExtProdId", 32, (ref ReportBody s) => ref s.IsvExtProdId);
        At<ReportBody, SgxAttributes>(data, "Attributes", 48, (ref ReportBody s) => ref s.Attributes);
        At<ReportBody, Hash256>(data, "MrEnclave", 64, (ref ReportBody s) => ref s.MrEnclave);
        At<ReportBody, Reserved32>(data, "Reserved2", 96, (ref ReportBody s) => ref s.Reserved2);
        At<ReportBody, Hash256>(data, "MrSigner", 128, (ref ReportBody s) => ref s.MrSigner);
        At<ReportBody, Reserved32>(data, "Reserved3", 160, (ref ReportBody s) => ref s.Reserved3);
        At<ReportBody, Bytes64>(data, "ConfigId", 192, (ref ReportBody s) => ref s.ConfigId);
        At<ReportBody, ushort>(data, "IsvProdId", 256, (ref ReportBody s) => ref s.IsvProdId);
        At<ReportBody, ushort>(data, "IsvSvn", 258, (ref ReportBody s) => ref s.IsvSvn);
        At<ReportBody, ushort>(data, "ConfigSvn", 260, (ref ReportBody s) => ref s.ConfigSvn);
        At<ReportBody, Reserved42>(data, "Reserved4", 262, (ref ReportBody s) => ref s.Reserved4);
        At<ReportBody, Bytes16>(data, "IsvFamilyId", 304, (ref ReportBody s) => ref s.IsvFamilyId);
        At<ReportBody, Bytes64>(data, "ReportData", 320, (ref ReportBody s) => ref s.ReportData);

        At<Report, ReportBody>(data, "Body", 0, (ref Report s) => ref s.Body);
        At<Report, Bytes32>(data, "KeyId", 384, (ref Report s) => ref s.KeyId);
        At<Report, Key128>(data, "Mac", 416, (ref Report s) => ref s.Mac);

        At<ReportType, byte>(data, "Type", 0, (ref ReportType s) => ref s.Type);
        At<ReportType, byte>(data, "SubType", 1, (ref ReportType s) => ref s.SubType);
        At<ReportType, byte>(data, "Version", 2, (ref ReportType s) => ref s.Version);
        At<ReportType, Reserved1>(data, "Reserved", 3, (ref ReportType s) => ref s.Reserved);

        At<TargetInfo, Hash256>(data, "Measurement", 0, (ref TargetInfo s) => ref s.Measurement);
        At<TargetInfo, SgxAttributes>(data, "Attributes", 32, (ref TargetInfo s) => ref s.Attributes);
        At<TargetInfo, byte>(data, "CetAttributes", 48, (ref TargetInfo s) => ref s.CetAttributes);
        At<TargetInfo, Reserved1>(data, "Reserved1", 49, (ref TargetInfo s) => ref s.Reserved1);
        At<TargetInfo, ushort>(data, "ConfigSvn", 50, (ref TargetInfo s) => ref s.ConfigSvn);
        At<TargetInfo, MiscSelect>(data, "MiscSelect", 52, (ref TargetInfo s) => ref s.MiscSelect);
        At<TargetInfo, Reserved8>(data, "Reserved2", 56, (ref TargetInfo s) => ref s.Reserved2);
        At<TargetInfo, Bytes64>(data, "ConfigId", 64, (ref TargetInfo s) => ref s.ConfigId);
        At<TargetInfo, Reserved384>(data, "Reserved3", 128, (ref TargetInfo s) => ref s.Reserved3);

        At<KeyRequest, KeyName>(data, "KeyName", 0, (ref KeyRequest s) => ref s.KeyName);
        At<KeyRequest, KeyPolicy>(data, "KeyPolicy", 2, (ref KeyRequest s) => ref s.KeyPolicy);
        At<KeyRequest, ushort>(data, "IsvSvn", 4, (ref KeyRequest s) => ref s.IsvSvn);
        At<KeyRequest, byte>(data, "CetAttributesMask", 6, (ref KeyRequest s) => ref s.CetAttributesMask);
        At<KeyRequest, Reserved1>(data, "Reserved1", 7, (ref KeyRequest s) => ref s.Reserved1);
        At<KeyRequest, Bytes16>(data, "CpuSvn", 8, (ref KeyRequest s) => ref s.CpuSvn);
        At<KeyRequest, SgxAttributes>(data, "AttributeMask", 24, (ref KeyRequest s) => ref s.AttributeMask);
        At<KeyRequest, Bytes32>(data, "KeyId", 40, (ref KeyRequest s) => ref s.KeyId);
        At<KeyRequest, MiscSelect>(data, "MiscMask", 72, (ref KeyRequest s) => ref s.MiscMask);
        At<KeyRequest, ushort>(data, "ConfigSvn", 76, (ref KeyRequest s) => ref s.ConfigSvn);
        At<KeyRequest, Reserved434>(data, "Reserved2", 78, (ref KeyRequest s) => ref s.Reserved2);

        At<GprSgx, ulong>(data, "Rax", 0, (ref GprSgx s) => ref s.Rax);
        At<GprSgx, ulong>(data, "Rcx", 8, (ref GprSgx s) => ref s.Rcx);
        At<GprSgx, ulong>(data, "Rdx", 16, (ref GprSgx s) => ref s.Rdx);
        At<GprSgx, ulong>(data, "Rbx", 24, (ref GprSgx s) => ref s.Rbx);
        At<GprSgx, ulong>(data, "Rsp", 32, (ref GprSgx s) => ref s.Rsp);
        At<GprSgx, ulong>(data, "Rbp", 40, (ref GprSgx s) => ref s.Rbp);
        At<GprSgx, ulong>(data, "Rsi", 48, (ref GprSgx s) => ref s.Rsi);
        At<GprSgx, ulong>(data, "Rdi", 56, (ref GprSgx s) => ref s.Rdi);
        At<GprSgx, ulong>(data, "R8", 64, (ref GprSgx s) => ref s.R8);
        At<GprSgx, ulong>(data, "R9", 72, (ref GprSgx s) => ref s.R9);
        At<GprSgx, ulong>(data, "R10", 80, (ref GprSgx s) => ref s.R10);
        At<GprSgx, ulong>(data, "R11", 88, (ref GprSgx s) => ref s.R11);
        At<GprSgx, ulong>(data, "R12", 96, (ref GprSgx s) => ref s.R12);
        At<GprSgx, ulong>(data, "R13", 104, (ref GprSgx s) => ref s.R13);
        At<GprSgx, ulong>(data, "R14", 112, (ref GprSgx s) => ref s.R14);
        At<GprSgx, ulong>(data, "R15", 120, (ref GprSgx s) => ref s.R15);
        At<GprSgx, ulong>(data, "Rflags", 128, (ref GprSgx s) => ref s.Rflags);
        At<GprSgx, ulong>(data, "Rip", 136, (ref GprSgx s) => ref s.Rip);
        At<GprSgx, ulong>(data, "URsp", 144, (ref GprSgx s) => ref s.URsp);
        At<GprSgx, ulong>(data, "URbp", 152, (ref GprSgx s) => ref s.URbp);
        At<GprSgx, ExitInfo>(data, "ExitInfo", 160, (ref GprSgx s) => ref s.ExitInfo);
        At<GprSgx, Reserved3>(data, "Reserved", 164, (ref GprSgx s) => ref s.Reserved);
        At<GprSgx, byte>(data, "AexNotify", 167, (ref GprSgx s) => ref s.AexNotify);
        At<GprSgx, ulong>(data, "FsBase", 168, (ref GprSgx s) => ref s.FsBase);
        At<GprSgx, ulong>(data, "GsBase", 176, (ref GprSgx s) => ref s.GsBase);

        At<ExInfo, ulong>(data, "MAddr", 0, (ref ExInfo s) => ref s.MAddr);
        At<ExInfo, uint>(data, "ErrCd", 8, (ref ExInfo s) => ref s.ErrCd);
        At<ExInfo, Reserved4>(data, "Reserved", 12, (ref ExInfo s) => ref s.Reserved);

        At<ExitInfo, uint>(data, "Value", 0, (ref ExitInfo s) => ref s.Value);

        At<Pcmd, SecInfo>(data, "SecInfo", 0, (ref Pcmd s) => ref s.SecInfo);
        At<Pcmd, ulong>(data, "EnclaveId", 64, (ref Pcmd s) => ref s.EnclaveId);
        At<Pcmd, Reserved40>(data, "Reserved", 72, (ref Pcmd s) => ref s.Reserved);
        At<Pcmd, Key128>(data, "Mac", 112, (ref Pcmd s) => ref s.Mac);

        At<RdInfo, RdInfoStatus>(data, "Status", 0, (ref RdInfo s) => ref s.Status);
        At<RdInfo, SecInfoFlags>(data, "Flags", 8, (ref RdInfo s) => ref s.Flags);
        At<RdInfo, ulong>(data, "EnclaveContext", 16, (ref RdInfo s) => ref s.EnclaveContext);
        At<RdInfo, Reserved8>(data, "Reserved", 24, (ref RdInfo s) => ref s.Reserved);

        At<VersionArray, VersionArray.VersionSlots>(data, "Slots", 0, (ref VersionArray s) => ref s.Slots);

        At<SgxAttributes, AttributeFlags>(data, "Flags", 0, (ref SgxAttributes s) => ref s.Flags);
        At<SgxAttributes, ulong>(data, "Xfrm", 8, (ref SgxAttributes s) => ref s.Xfrm);
        return data;
    }

    private static void At<TStruct, TField>(TheoryData<string, int, int> data, string field, int expected, FieldOf<TStruct, TField> get)
        where TStruct : struct
    {
        TStruct structure = default;
        int actual = (int)Unsafe.ByteOffset(ref Unsafe.As<TStruct, byte>(ref structure), ref Unsafe.As<TField, byte>(ref get(ref structure)));
        data.Add($"{typeof(TStruct).Name}.{field}", expected, actual);
        if (!Covered.TryGetValue(typeof(TStruct), out HashSet<string>? fields))
        {
            Covered[typeof(TStruct)] = fields = [];
        }

        fields.Add(field);
    }
}
