using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace SoftSgx.Architecture;

/// <summary>32 plain bytes: KEYID.</summary>
[InlineArray(Size)]
public struct Bytes32 : IEquatable<Bytes32>
{
    /// <summary>Size in bytes.</summary>
    public const int Size = 32;

#pragma warning disable IDE0044 // The one field of an inline array cannot be read-only.
    private byte _first;
#pragma warning restore IDE0044

    /// <summary>A copy of the first 32 bytes of <paramref name="source"/>, which must have at least that many.</summary>
    public static Bytes32 From(ReadOnlySpan<byte> source) => MemoryMarshal.Read<Bytes32>(source);

    /// <summary>The bytes, for reading and writing in place.</summary>
    [UnscopedRef]
    public Span<byte> AsSpan() => MemoryMarshal.CreateSpan(ref _first, Size);

    /// <summary>The bytes, for reading in place.</summary>
    [UnscopedRef]
    public readonly ReadOnlySpan<byte> AsReadOnlySpan() => MemoryMarshal.CreateReadOnlySpan(in _first, Size);

    /// <summary>True if every byte is zero.</summary>
    public readonly bool IsZero => Bytes.IsZero(AsReadOnlySpan());

    /// <summary>Compares all bytes in a time that does not depend on them.</summary>
    public readonly bool Equals(Bytes32 other) => CryptographicOperations.FixedTimeEquals(AsReadOnlySpan(), other.AsReadOnlySpan());

    /// <inheritdoc/>
    public override readonly bool Equals([NotNullWhen(true)] object? obj) => obj is Bytes32 other && Equals(other);

    /// <inheritdoc/>
    public override readonly int GetHashCode()
    {
        HashCode code = default;
        code.AddBytes(AsReadOnlySpan());
        return code.ToHashCode();
    }

    /// <summary>The bytes in hexadecimal, lower case, first byte first.</summary>
    public override readonly string ToString() => Convert.ToHexStringLower(AsReadOnlySpan());

    /// <summary>Equality of all bytes.</summary>
    public static bool operator ==(Bytes32 left, Bytes32 right) => left.Equals(right);

    /// <summary>Inequality of any byte.</summary>
    public static bool operator !=(Bytes32 left, Bytes32 right) => !left.Equals(right);
}
