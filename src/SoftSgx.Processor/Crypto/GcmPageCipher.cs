using System.Buffers.Binary;
using System.Security.Cryptography;
using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// AES-GCM-128 of evicted pages under the paging key CR_BASE_PK, which no software ever sees.
/// SDM vol. 3D, EWB (AES_GCM_ENC) and ELDU (AES_GCM_DEC).
/// </summary>
/// <remarks>
/// <para>
/// The nonce comes from the version that the version array keeps: it fills the upper 96 bits of the first counter block, whose lower
/// 32 bits count blocks.
/// </para>
/// <code>
/// nonce    zero 4 | version 8, big-endian
/// </code>
/// <para>Thread-safe. A cipher serves one thread at a time; idle ones wait in a few places, so that no page makes a new one.</para>
/// </remarks>
internal sealed class GcmPageCipher : PageCipher
{
    private const int NonceLength = 12;
    private const int IdleCiphers = 8;

    private readonly AesGcm?[] _idle = new AesGcm?[IdleCiphers];
    private readonly Key128 _key;

    /// <summary>A cipher under <paramref name="key"/>, 16 bytes.</summary>
    public GcmPageCipher(ReadOnlySpan<byte> key)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(key.Length, Key128.Size);
        _key = Key128.From(key);
        _idle[0] = new AesGcm(key, Key128.Size);
    }

    /// <inheritdoc/>
    public override void Encrypt(
        ulong version, in MacHeader header, ReadOnlySpan<byte> page, Span<byte> destination, Span<byte> mac)
    {
        Span<byte> nonce = stackalloc byte[NonceLength];
        Fill(nonce, version);
        AesGcm cipher = Rent();
        cipher.Encrypt(nonce, page, destination, mac, Bytes.Of(in header));
        Return(cipher);
    }

    /// <inheritdoc/>
    public override bool TryDecrypt(
        ulong version, in MacHeader header, ReadOnlySpan<byte> source, ReadOnlySpan<byte> mac, Span<byte> page)
    {
        Span<byte> nonce = stackalloc byte[NonceLength];
        Fill(nonce, version);
        AesGcm cipher = Rent();
        try
        {
            cipher.Decrypt(nonce, source, mac, page, Bytes.Of(in header));
            return true;
        }
        catch (AuthenticationTagMismatchException)
        {
            // The runtime has no call that returns this; pages that fail are rare, or somebody's attack.
            page.Clear();
            return false;
        }
        finally
        {
            Return(cipher);
        }
    }

    private static void Fill(Span<byte> nonce, ulong version)
    {
        nonce.Clear();
        BinaryPrimitives.WriteUInt64BigEndian(nonce[(NonceLength - sizeof(ulong))..], version);
    }

    private AesGcm Rent()
    {
        foreach (ref AesGcm? place in _idle.AsSpan())
        {
            if (Interlocked.Exchange(ref place, null) is { } cipher)
            {
                return cipher;
            }
        }

        return new AesGcm(_key.AsReadOnlySpan(), Key128.Size);
    }

    private void Return(AesGcm cipher)
    {
        foreach (ref AesGcm? place in _idle.AsSpan())
        {
            if (Interlocked.CompareExchange(ref place, cipher, null) is null)
            {
                return;
            }
        }

        cipher.Dispose();
    }
}
