using System.Globalization;

namespace SoftSgx.Cli;

/// <summary>A number of bytes as people write it: 4096, 64K, 96M, 1G.</summary>
internal static class ByteSize
{
    private const ulong PageSize = 4096;

    /// <summary>More than any EPC, and few enough pages to count in 31 bits.</summary>
    internal const ulong Maximum = 1UL << 39;

    /// <summary>Reads a whole number of pages of 4 KiB, from 4K to 512G.</summary>
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
        return bytes is >= PageSize and <= Maximum && bytes % PageSize == 0;
    }

    /// <summary>A number of bytes for people: 512 B, 64 KiB, 1.5 GiB.</summary>
    internal static string Format(long bytes)
    {
        string[] units = ["B", "KiB", "MiB", "GiB", "TiB"];
        double value = bytes;
        int unit = 0;
        for (; Math.Abs(value) >= 1024 && unit < units.Length - 1; unit++)
        {
            value /= 1024;
        }
        return string.Create(CultureInfo.InvariantCulture, $"{value:0.#} {units[unit]}");
    }
}
