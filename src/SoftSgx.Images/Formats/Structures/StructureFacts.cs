using System.Globalization;
using System.Text;
using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Images;

/// <summary>The fields of the architecture's structures, by the names that the manual gives them.</summary>
internal static class StructureFacts
{
    internal static FactGroup SigStruct(in SigStruct value, long offset) => new FactList("SIGSTRUCT", offset)
        .Text("HEADER", Right(value.Header.AsReadOnlySpan(), Architecture.SigStruct.HeaderConstant))
        .Text(
            "VENDOR",
            value.Vendor switch { Architecture.SigStruct.VendorIntel => "0x8086, Intel", 0 => "0", _ => FactList.Hex(value.Vendor) })
        .Text("DATE", DateText(value.Date))
        .Text("HEADER2", Right(value.Header2.AsReadOnlySpan(), Architecture.SigStruct.Header2Constant))
        .Hex("SWDEFINED", value.SwDefined)
        .Bytes("MODULUS", value.Modulus.AsReadOnlySpan())
        .Count("EXPONENT", value.Exponent)
        .Bytes("SIGNATURE", value.Signature.AsReadOnlySpan())
        .Text("MISCSELECT", MiscSelectText(value.MiscSelect))
        .Hex("MISCMASK", (uint)value.MiscMask)
        .Hex("CET_ATTRIBUTES", value.CetAttributes)
        .Hex("CET_ATTRIBUTES_MASK", value.CetAttributesMask)
        .Bytes("ISVFAMILYID", value.IsvFamilyId.AsReadOnlySpan())
        .Text("ATTRIBUTES", AttributesText(value.Attributes.Flags))
        .Text("ATTRIBUTES.XFRM", XfrmText(value.Attributes.Xfrm))
        .Text("ATTRIBUTEMASK", FactList.Hex((ulong)value.AttributeMask.Flags))
        .Text("ATTRIBUTEMASK.XFRM", FactList.Hex(value.AttributeMask.Xfrm))
        .Text("ENCLAVEHASH", value.EnclaveHash.ToString())
        .Bytes("ISVEXTPRODID", value.IsvExtProdId.AsReadOnlySpan())
        .Count("ISVPRODID", value.IsvProdId)
        .Count("ISVSVN", value.IsvSvn)
        .Bytes("Q1", value.Q1.AsReadOnlySpan())
        .Bytes("Q2", value.Q2.AsReadOnlySpan())
        .Text("MRSIGNER", EnclaveSignature.MrSigner(in value).ToString())
        .Text("signature", SignatureReview.Of(in value) switch
        {
            SignatureState.Valid => "valid",
            SignatureState.WrongQuotients => "valid, but q1 or q2 is wrong: EINIT refuses it",
            _ => "invalid",
        })
        .Build();

    internal static FactGroup EInitToken(in EInitToken value) => new FactList("EINITTOKEN", 0)
        .Text("VALID", (value.Valid & 1) != 0 ? "1, the token counts" : $"{FactList.Hex(value.Valid)}, the token does not count")
        .Text("ATTRIBUTES", AttributesText(value.Attributes.Flags))
        .Text("ATTRIBUTES.XFRM", XfrmText(value.Attributes.Xfrm))
        .Text("MRENCLAVE", value.MrEnclave.ToString())
        .Text("MRSIGNER", value.MrSigner.ToString())
        .Bytes("CPUSVNLE", value.CpuSvnLe.AsReadOnlySpan())
        .Count("ISVPRODIDLE", value.IsvProdIdLe)
        .Count("ISVSVNLE", value.IsvSvnLe)
        .Text("MASKEDMISCSELECTLE", MiscSelectText(value.MaskedMiscSelectLe))
        .Text("MASKEDATTRIBUTESLE", AttributesText(value.MaskedAttributesLe.Flags))
        .Text("MASKEDATTRIBUTESLE.XFRM", XfrmText(value.MaskedAttributesLe.Xfrm))
        .Bytes("KEYID", Bytes.Of(in value.KeyId))
        .Bytes("MAC", Bytes.Of(in value.Mac))
        .Build();

    internal static FactGroup ReportBody(in ReportBody value, string title, long offset) => new FactList(title, offset)
        .Bytes("CPUSVN", value.CpuSvn.AsReadOnlySpan())
        .Text("MISCSELECT", MiscSelectText(value.MiscSelect))
        .Hex("CET_ATTRIBUTES", value.CetAttributes)
        .Bytes("ISVEXTPRODID", value.IsvExtProdId.AsReadOnlySpan())
        .Text("ATTRIBUTES", AttributesText(value.Attributes.Flags))
        .Text("ATTRIBUTES.XFRM", XfrmText(value.Attributes.Xfrm))
        .Text("MRENCLAVE", value.MrEnclave.ToString())
        .Text("MRSIGNER", value.MrSigner.ToString())
        .Bytes("CONFIGID", Bytes.Of(in value.ConfigId))
        .Count("ISVPRODID", value.IsvProdId)
        .Count("ISVSVN", value.IsvSvn)
        .Count("CONFIGSVN", value.ConfigSvn)
        .Bytes("ISVFAMILYID", value.IsvFamilyId.AsReadOnlySpan())
        .Bytes("REPORTDATA", Bytes.Of(in value.ReportData))
        .Build();

    internal static FactGroup ReportMac(in Report value) => new FactList("REPORT's authentication", Architecture.ReportBody.Size)
        .Bytes("KEYID", Bytes.Of(in value.KeyId))
        .Bytes("MAC", Bytes.Of(in value.Mac))
        .Build();

    internal static FactGroup TargetInfo(in TargetInfo value) => new FactList("TARGETINFO", 0)
        .Text("MEASUREMENT", value.Measurement.ToString())
        .Text("ATTRIBUTES", AttributesText(value.Attributes.Flags))
        .Text("ATTRIBUTES.XFRM", XfrmText(value.Attributes.Xfrm))
        .Hex("CET_ATTRIBUTES", value.CetAttributes)
        .Count("CONFIGSVN", value.ConfigSvn)
        .Text("MISCSELECT", MiscSelectText(value.MiscSelect))
        .Bytes("CONFIGID", Bytes.Of(in value.ConfigId))
        .Build();

    internal static string AttributesText(AttributeFlags flags)
    {
        StringBuilder text = new(FactList.Hex((ulong)flags));
        string separator = ", ";
        foreach (AttributeFlags flag in Enum.GetValues<AttributeFlags>())
        {
            if (flag != 0 && flags.HasFlag(flag))
            {
                text.Append(separator).Append(flag);
                separator = " | ";
            }
        }

        return text.ToString();
    }

    internal static string XfrmText(ulong xfrm)
    {
        StringBuilder text = new(FactList.Hex(xfrm));
        string separator = ", ";
        foreach (XFeatureMask feature in Enum.GetValues<XFeatureMask>())
        {
            if (ulong.IsPow2((ulong)feature) && ((XFeatureMask)xfrm).HasFlag(feature))
            {
                text.Append(separator).Append(feature);
                separator = " | ";
            }
        }

        return text.ToString();
    }

    internal static string MiscSelectText(MiscSelect value) =>
        value == 0 ? "0x0" : $"{FactList.Hex((uint)value)}, {value}";

    /// <summary>DATE: a date's decimal digits written as hexadecimal ones.</summary>
    internal static string DateText(uint date) =>
        TryDate(date, out DateOnly value) ? value.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture) : $"{FactList.Hex(date)}, no date";

    internal static bool TryDate(uint date, out DateOnly value) =>
        DateOnly.TryParseExact(
            date.ToString("x8", CultureInfo.InvariantCulture), "yyyyMMdd", CultureInfo.InvariantCulture, DateTimeStyles.None, out value);

    private static string Right(ReadOnlySpan<byte> value, ReadOnlySpan<byte> right) =>
        value.SequenceEqual(right)
            ? Convert.ToHexStringLower(value)
            : $"{Convert.ToHexStringLower(value)}, wrong: it must be {Convert.ToHexStringLower(right)}";
}
