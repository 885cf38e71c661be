using System.Globalization;

namespace SoftSgx.Images;

/// <summary>One thing that a file says: a field of a structure, a property of a header.</summary>
/// <param name="Name">Its name, as the field's documents write it: "ISVPRODID", "e_machine".</param>
/// <param name="Text">Its value for people.</param>
/// <param name="Number">Its value as a number, if it is a plain one; scripts get that instead of the text.</param>
public sealed record Fact(string Name, string Text, ulong? Number = null);

/// <summary>Facts that belong together: a structure, a header.</summary>
/// <param name="Title">What they are of.</param>
/// <param name="Offset">Offset in bytes of the structure into the file; null if it has no one place.</param>
/// <param name="Facts">The facts, in the order of the structure.</param>
public sealed record FactGroup(string Title, long? Offset, IReadOnlyList<Fact> Facts);

/// <summary>Builds a <see cref="FactGroup"/>.</summary>
internal sealed class FactList(string title, long? offset = null)
{
    private readonly List<Fact> _facts = [];

    internal FactList Text(string name, string value)
    {
        _facts.Add(new Fact(name, Printable(value)));
        return this;
    }

    internal FactList Count(string name, ulong value)
    {
        _facts.Add(new Fact(name, value.ToString(CultureInfo.InvariantCulture), value));
        return this;
    }

    internal FactList Hex(string name, ulong value) => Text(name, Hex(value));

    internal FactList Bytes(string name, ReadOnlySpan<byte> value) => Text(name, Convert.ToHexStringLower(value));

    internal FactGroup Build() => new(title, offset, _facts);

    internal static string Hex(ulong value) => string.Create(CultureInfo.InvariantCulture, $"0x{value:x}");

    /// <summary>What a file calls something, without what would move a terminal's cursor, and of a length that fits.</summary>
    internal static string Printable(string value)
    {
        const int Longest = 4096;
        string cut = value.Length <= Longest ? value : string.Concat(value.AsSpan(0, Longest), "…");
        return cut.Any(IsControl) ? string.Concat(cut.Select(static c => IsControl(c) ? '?' : c)) : cut;
    }

    private static bool IsControl(char c) =>
        char.IsControl(c) || char.GetUnicodeCategory(c) is UnicodeCategory.Format or UnicodeCategory.LineSeparator
            or UnicodeCategory.ParagraphSeparator;
}
