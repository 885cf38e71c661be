using System.Globalization;

namespace SoftSgx.Host.Tests.Fuzz;

/// <summary>One call of a sequence, as <c>native/calls.c</c> reads it: a word and hexadecimal numbers.</summary>
/// <param name="Name">The word.</param>
/// <param name="Arguments">The numbers.</param>
internal sealed record Call(string Name, params ulong[] Arguments)
{
    /// <summary>An argument; zero if there is none.</summary>
    internal ulong this[int index] => index < Arguments.Length ? Arguments[index] : 0;

    /// <summary>For <c>sig</c>: the bytes that come instead of numbers.</summary>
    internal byte[]? Bytes { get; init; }

    public override string ToString() => Bytes is null
        ? string.Join(' ', Arguments.Select(static argument => argument.ToString("x", CultureInfo.InvariantCulture)).Prepend(Name))
        : $"{Name} {Convert.ToHexStringLower(Bytes)}";
}
