namespace SoftSgx.Processor;

/// <summary>
/// Protects pages on their way out and in under the paging key CR_BASE_PK, which no software ever sees.
/// SDM vol. 3D, EWB (AES_GCM_ENC) and ELDU (AES_GCM_DEC).
/// </summary>
internal abstract class PageCipher
{
    /// <summary>Encrypts <paramref name="page"/> and authenticates it together with <paramref name="header"/>.</summary>
    public abstract void Encrypt(
        ulong version, in MacHeader header, ReadOnlySpan<byte> page, Span<byte> destination, Span<byte> mac);

    /// <summary>Decrypts <paramref name="source"/> into <paramref name="page"/> if it is authentic.</summary>
    /// <returns>False, and zeros in <paramref name="page"/>, if it is not.</returns>
    public abstract bool TryDecrypt(
        ulong version, in MacHeader header, ReadOnlySpan<byte> source, ReadOnlySpan<byte> mac, Span<byte> page);
}
