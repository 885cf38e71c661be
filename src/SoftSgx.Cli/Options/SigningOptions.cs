using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using SoftSgx.Architecture;
using SoftSgx.Images;

namespace SoftSgx.Cli.Options;

/// <summary>The options of <c>softsgx sign</c> that say what stands in the SIGSTRUCT.</summary>
internal static class SigningOptions
{
    private static readonly Option<ulong?> s_attributes =
        FieldOption.Bits("--attributes", "ATTRIBUTES.FLAGS: 2 debug, 4 64-bit mode, 10 provisioning key, 20 launch key, 80 KSS, 400 AEX-Notify.");

    private static readonly Option<ulong?> s_attributesMask =
        FieldOption.Bits("--attributes-mask", "Attributes that must be as signed; those not in the mask are left to whoever loads the enclave.");

    private static readonly Option<ulong?> s_xfrm = FieldOption.Bits("--xfrm", "ATTRIBUTES.XFRM: 3 x87 and SSE, 7 AVX in addition.");

    private static readonly Option<ulong?> s_xfrmMask = FieldOption.Bits("--xfrm-mask", "Bits of XFRM that must be as signed.");

    private static readonly Option<ulong?> s_miscSelect = FieldOption.Bits("--misc-select", "MISCSELECT: 1 EXINFO.", bits: 32);

    private static readonly Option<ulong?> s_miscMask = FieldOption.Bits("--misc-mask", "Bits of MISCSELECT that must be as signed.", bits: 32);

    private static readonly Option<ushort?> s_product = FieldOption.Number16("--product-id", "ISVPRODID: tells your enclaves apart.");

    private static readonly Option<ushort?> s_svn = FieldOption.Number16("--svn", "ISVSVN: the security version; raise it when a flaw is mended.");

    private static readonly Option<Bytes16?> s_family = FieldOption.Identity("--family-id", "ISVFAMILYID, 16 bytes; needs KSS.");

    private static readonly Option<Bytes16?> s_extended = FieldOption.Identity("--ext-product-id", "ISVEXTPRODID, 16 bytes; needs KSS.");

    private static readonly Option<DateOnly?> s_date = new("--date")
    {
        Description = "Date of the signature; today's, or that of SOURCE_DATE_EPOCH, if not given.",
        HelpName = "YYYY-MM-DD",
        CustomParser = static result =>
        {
            string text = result.Tokens.Count == 1 ? result.Tokens[0].Value : "";
            if (DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out DateOnly date))
            {
                return date;
            }

            result.AddError($"'{text}' is no date: such as 2026-01-31.");
            return null;
        },
    };

    private static readonly Option<bool> s_debug = new("--debug") { Description = "It must be a debug enclave, which anybody can read." };

    private static readonly Option<bool> s_noDebug = new("--no-debug") { Description = "It must not be a debug enclave (as long as nothing else is said)." };

    /// <summary>All of them.</summary>
    internal static IReadOnlyList<Option> All { get; } =
    [
        s_attributes, s_attributesMask, s_xfrm, s_xfrmMask, s_miscSelect, s_miscMask,
        s_product, s_svn, s_family, s_extended, s_date, s_debug, s_noDebug,
    ];

    /// <summary>Says what does not go together.</summary>
    internal static string? Problem(CommandResult result) =>
        result.GetValue(s_debug) && result.GetValue(s_noDebug) ? "--debug and --no-debug do not go together." : null;

    /// <summary>What the user said.</summary>
    internal static SigStructSettings Of(ParseResult result) => new()
    {
        Flags = (AttributeFlags?)result.GetValue(s_attributes),
        FlagsMask = (AttributeFlags?)result.GetValue(s_attributesMask),
        Xfrm = result.GetValue(s_xfrm),
        XfrmMask = result.GetValue(s_xfrmMask),
        MiscSelect = (MiscSelect?)result.GetValue(s_miscSelect),
        MiscMask = (MiscSelect?)result.GetValue(s_miscMask),
        ProductId = result.GetValue(s_product),
        Svn = result.GetValue(s_svn),
        FamilyId = result.GetValue(s_family),
        ExtendedProductId = result.GetValue(s_extended),
        Date = result.GetValue(s_date) ?? Today(),
        Debug = result.GetValue(s_debug) ? true : result.GetValue(s_noDebug) ? false : null,
    };

    /// <summary>The day on which the sources were as they are, where whoever builds says so; else today.</summary>
    private static DateOnly Today()
    {
        string? epoch = Environment.GetEnvironmentVariable("SOURCE_DATE_EPOCH");
        return uint.TryParse(epoch, NumberStyles.None, CultureInfo.InvariantCulture, out uint seconds)
            ? DateOnly.FromDateTime(DateTimeOffset.FromUnixTimeSeconds(seconds).UtcDateTime)
            : DateOnly.FromDateTime(DateTime.UtcNow);
    }
}
