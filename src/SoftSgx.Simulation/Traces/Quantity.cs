using System.Globalization;

namespace SoftSgx.Simulation;

/// <summary>Numbers with units as people write them.</summary>
public static class Quantity
{
    private const string Units = "KMGT";

    /// <summary>Reads bytes: 4096, 64K, 96M, 1G, 2T; units are powers of 1,024.</summary>
    /// <param name="text">What somebody wrote.</param>
    /// <param name="bytes">The number.</param>
    /// <returns><see langword="false"/> if it is no number, or beyond 64 bits.</returns>
    public static bool TryParse(ReadOnlySpan<char> text, out ulong bytes)
    {
        bytes = 0;
        int unit = UnitOf(ref text);
        if (!ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong number)
            || number > ulong.MaxValue >> (10 * unit))
        {
            return false;
        }

        bytes = number << (10 * unit);
        return true;
    }

    /// <summary>Reads a count: 1000, 100K, 10M, 1G; units are powers of 1,000.</summary>
    /// <param name="text">What somebody wrote.</param>
    /// <param name="count">The number.</param>
    /// <returns><see langword="false"/> if it is no number, or beyond 63 bits.</returns>
    public static bool TryParseCount(ReadOnlySpan<char> text, out long count)
    {
        int unit = UnitOf(ref text);
        count = 0;
        if (!ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out ulong number))
        {
            return false;
        }

        UInt128 value = number;
        for (int i = 0; i < unit; i++)
        {
            value *= 1000;
        }

        count = value > long.MaxValue ? 0 : (long)value;
        return value <= long.MaxValue;
    }

    /// <summary>Bytes as people write them, in the largest unit that leaves no rest.</summary>
    /// <param name="bytes">The number.</param>
    public static string Format(ulong bytes)
    {
        int unit = 0;
        while (unit < Units.Length && bytes != 0 && bytes % 1024 == 0)
        {
            bytes /= 1024;
            unit++;
        }

        return unit == 0 ? bytes.ToString(CultureInfo.InvariantCulture) : $"{bytes.ToString(CultureInfo.InvariantCulture)}{Units[unit - 1]}";
    }

    private static int UnitOf(ref ReadOnlySpan<char> text)
    {
        int unit = text.Length > 1 ? Units.IndexOf(char.ToUpperInvariant(text[^1]), StringComparison.Ordinal) + 1 : 0;
        text = unit > 0 ? text[..^1] : text;
        return unit;
    }
}
