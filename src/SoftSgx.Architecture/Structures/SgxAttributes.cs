using System.Runtime.InteropServices;

namespace SoftSgx.Architecture;

/// <summary>
/// ATTRIBUTES: flags and extended-feature mask of an enclave, 16 bytes.
/// SDM vol. 3D, "ATTRIBUTES".
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct SgxAttributes : IEquatable<SgxAttributes>
{
    /// <summary>Size in bytes.</summary>
    public const int Size = 16;

    /// <summary>Offset 0: the attribute flags.</summary>
    public AttributeFlags Flags;

    /// <summary>Offset 8: XFRM, the components of XCR0 that the enclave runs with; bits as in <see cref="XFeatureMask"/>.</summary>
    public ulong Xfrm;

    /// <summary>Attributes of two halves.</summary>
    public SgxAttributes(AttributeFlags flags, ulong xfrm)
    {
        Flags = flags;
        Xfrm = xfrm;
    }

    /// <inheritdoc/>
    public readonly bool Equals(SgxAttributes other) => Flags == other.Flags && Xfrm == other.Xfrm;

    /// <inheritdoc/>
    public override readonly bool Equals(object? obj) => obj is SgxAttributes other && Equals(other);

    /// <inheritdoc/>
    public override readonly int GetHashCode() => HashCode.Combine(Flags, Xfrm);

    /// <summary>Both halves in hexadecimal.</summary>
    public override readonly string ToString() => $"{(ulong)Flags:x16}:{Xfrm:x16}";

    /// <summary>Equality of both halves.</summary>
    public static bool operator ==(SgxAttributes left, SgxAttributes right) => left.Equals(right);

    /// <summary>Inequality of either half.</summary>
    public static bool operator !=(SgxAttributes left, SgxAttributes right) => !left.Equals(right);

    /// <summary>The bits that both have.</summary>
    public static SgxAttributes operator &(SgxAttributes left, SgxAttributes right) =>
        new(left.Flags & right.Flags, left.Xfrm & right.Xfrm);

    /// <summary>The bits that both have: the named form of the operator.</summary>
    public static SgxAttributes BitwiseAnd(SgxAttributes left, SgxAttributes right) => left & right;
}
