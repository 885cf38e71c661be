using System.CommandLine.Parsing;
using System.Globalization;

namespace SoftSgx.Cli;

/// <summary>A number of bytes as people write it: 4096, 64K, 96M, 1G.</summary>
internal static class ByteSize
{
    private const ulong PageSize = 4096;

    /// <summary>More than any EPC, and few enough pages to count in 31 bits.</summary>
    private const ulong Maximum = 1UL << 39;

    internal static ulong Parse(ArgumentResult result)
    {
        string text = result.Tokens.Count == 1 ? result.Tokens[0].Value : "";
        if (TryParse(text, out ulong bytes))
        {
            return bytes;
        }
        result.AddError($"'{text}' is no size: give a multiple of 4K from 64K to 512G, such as 64M or 1G.");
        return 0;
    }

    internal static bool TryParse(string text, out ulong bytes)
    {
        bytes = 0;
        int unit = text.Length > 0 ? "KMGT".IndexOf(char.ToUpperInvariant(text[^1]), StringComparison.Ordinal) : -1;
        ReadOnlySpan<char> digits = unit >= 0 ? text.AsSpan(0, text.Length - 1) : text;
        if (!ulong.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out ulong number) || number > Maximum)
        {
            return false;
        }
        UInt128 value = (UInt128)number << (10 * (unit + 1));
        bytes = (ulong)UInt128.Min(value, ulong.MaxValue);
        return bytes is >= 64 * 1024 and <= Maximum && bytes % PageSize == 0;
    }
}
