using System.Globalization;
using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Images;

/// <summary>A field that two signature structures have differently.</summary>
/// <param name="Name">The manual's name.</param>
/// <param name="InFirst">What the first has.</param>
/// <param name="InSecond">What the second has.</param>
public sealed record FieldDifference(string Name, string InFirst, string InSecond);

/// <summary>
/// Compares what two signature structures say. The signatures themselves, which differ whenever anything does, are no field of it;
/// MRSIGNER stands for the key.
/// </summary>
public static class SigStructComparer
{
    private static readonly (string Name, Func<SigStruct, string> Value)[] s_fields =
    [
        ("MRSIGNER", static sig => EnclaveSignature.MrSigner(in sig).ToString()),
        ("ENCLAVEHASH", static sig => sig.EnclaveHash.ToString()),
        ("VENDOR", static sig => $"0x{sig.Vendor:x}"),
        ("DATE", static sig => $"{sig.Date:x8}"),
        ("SWDEFINED", static sig => $"0x{sig.SwDefined:x}"),
        ("MISCSELECT", static sig => $"0x{(uint)sig.MiscSelect:x}"),
        ("MISCMASK", static sig => $"0x{(uint)sig.MiscMask:x}"),
        ("CET_ATTRIBUTES", static sig => $"0x{sig.CetAttributes:x}"),
        ("CET_ATTRIBUTES_MASK", static sig => $"0x{sig.CetAttributesMask:x}"),
        ("ISVFAMILYID", static sig => Convert.ToHexStringLower(sig.IsvFamilyId.AsReadOnlySpan())),
        ("ATTRIBUTES.FLAGS", static sig => $"0x{(ulong)sig.Attributes.Flags:x}"),
        ("ATTRIBUTES.XFRM", static sig => $"0x{sig.Attributes.Xfrm:x}"),
        ("ATTRIBUTEMASK.FLAGS", static sig => $"0x{(ulong)sig.AttributeMask.Flags:x}"),
        ("ATTRIBUTEMASK.XFRM", static sig => $"0x{sig.AttributeMask.Xfrm:x}"),
        ("ISVEXTPRODID", static sig => Convert.ToHexStringLower(sig.IsvExtProdId.AsReadOnlySpan())),
        ("ISVPRODID", static sig => sig.IsvProdId.ToString(CultureInfo.InvariantCulture)),
        ("ISVSVN", static sig => sig.IsvSvn.ToString(CultureInfo.InvariantCulture)),
    ];

    /// <summary>The fields that differ, in the order of a table that begins with who and what.</summary>
    public static IReadOnlyList<FieldDifference> Compare(SigStruct first, SigStruct second) =>
    [
        .. s_fields
            .Select(field => new FieldDifference(field.Name, field.Value(first), field.Value(second)))
            .Where(static field => field.InFirst != field.InSecond),
    ];
}
