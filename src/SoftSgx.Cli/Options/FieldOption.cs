using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using SoftSgx.Architecture;

namespace SoftSgx.Cli.Options;

/// <summary>Options whose values are bytes, bits or numbers of the architecture's structures.</summary>
internal static class FieldOption
{
    /// <summary>A SHA-256 digest: 64 hexadecimal digits.</summary>
    internal static Option<Hash256?> Digest(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "HASH",
        CustomParser = static result => Bytes(result, Hash256.Size) is { } bytes ? Hash256.From(bytes) : null,
    };

    /// <summary>16 bytes: 32 hexadecimal digits.</summary>
    internal static Option<Bytes16?> Identity(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "HEX",
        CustomParser = static result => Bytes(result, Bytes16.Size) is { } bytes ? Bytes16.From(bytes) : null,
    };

    /// <summary>A number of so many bits, in hexadecimal with or without 0x.</summary>
    internal static Option<ulong?> Bits(string name, string description, int bits = 64) => new(name)
    {
        Description = description,
        HelpName = "HEX",
        CustomParser = result =>
        {
            string text = Text(result);
            if (text.Length > 0 && ulong.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong value)
                && (bits == 64 || value >> bits == 0))
            {
                return value;
            }

            result.AddError($"'{Given(result)}' is no number of {bits} bits in hexadecimal.");
            return null;
        },
    };

    /// <summary>A number of 16 bits, decimal, or in hexadecimal with 0x.</summary>
    internal static Option<ushort?> Number16(string name, string description) => new(name)
    {
        Description = description,
        HelpName = "NUMBER",
        CustomParser = static result =>
        {
            string given = Given(result);
            bool isHex = given.StartsWith("0x", StringComparison.OrdinalIgnoreCase);
            NumberStyles style = isHex ? NumberStyles.AllowHexSpecifier : NumberStyles.None;
            if (ushort.TryParse(isHex ? given[2..] : given, style, CultureInfo.InvariantCulture, out ushort value))
            {
                return value;
            }

            result.AddError($"'{given}' is no number from 0 to 65535.");
            return null;
        },
    };

    private static byte[]? Bytes(ArgumentResult result, int length)
    {
        string text = Text(result);
        if (text.Length == 2 * length && text.All(char.IsAsciiHexDigit))
        {
            return Convert.FromHexString(text);
        }

        result.AddError($"'{Given(result)}' is not {length} bytes in hexadecimal ({2 * length} digits).");
        return null;
    }

    private static string Given(ArgumentResult result) => result.Tokens.Count == 1 ? result.Tokens[0].Value : "";

    private static string Text(ArgumentResult result)
    {
        string text = Given(result);
        return text.StartsWith("0x", StringComparison.OrdinalIgnoreCase) ? text[2..] : text;
    }
}
