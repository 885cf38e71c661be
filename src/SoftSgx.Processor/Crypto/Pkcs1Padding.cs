namespace SoftSgx.Processor;

/// <summary>
/// The constant 352 bytes that stand before the digest in a PKCS #1 v1.5 signature of SHA-256 by RSA-3072, big-endian as signed.
/// RFC 8017, section 9.2; SDM vol. 3D, EGETKEY (HARDCODED_PKCS1_5_PADDING).
/// </summary>
internal static class Pkcs1Padding
{
    /// <summary>Length in bytes.</summary>
    public const int Length = 352;

    private static readonly byte[] s_bytes = Build();

    /// <summary>00 01, 330 bytes of FF, 00, and the DigestInfo of SHA-256.</summary>
    public static ReadOnlySpan<byte> BigEndian => s_bytes;

    private static ReadOnlySpan<byte> DigestInfo =>
        [0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];

    private static byte[] Build()
    {
        byte[] bytes = new byte[Length];
        bytes[1] = 0x01;
        bytes.AsSpan(2, 330).Fill(0xFF);
        DigestInfo.CopyTo(bytes.AsSpan(333));
        return bytes;
    }
}
