using System.Runtime.InteropServices;

namespace SoftSgx.Architecture;

/// <summary>Helpers over the bytes of structures.</summary>
public static class Bytes
{
    /// <summary>True if every byte of <paramref name="bytes"/> is zero.</summary>
    public static bool IsZero(ReadOnlySpan<byte> bytes) => !bytes.ContainsAnyExcept((byte)0);

    /// <summary>True if every byte of <paramref name="value"/>, a blittable structure, is zero.</summary>
    public static bool IsZero<T>(in T value)
        where T : unmanaged => IsZero(Of(in value));

    /// <summary>The bytes of <paramref name="value"/>, a blittable structure, for reading in place.</summary>
    public static ReadOnlySpan<byte> Of<T>(in T value)
        where T : unmanaged => MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value));

    /// <summary>The bytes of <paramref name="value"/>, a blittable structure, for writing in place.</summary>
    public static Span<byte> Writable<T>(ref T value)
        where T : unmanaged => MemoryMarshal.AsBytes(new Span<T>(ref value));
}
