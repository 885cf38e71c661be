using System.Security.Cryptography;
using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// AES-128-CMAC: the message authentication code behind reports, launch tokens and key derivation.
/// RFC 4493; NIST SP 800-38B.
/// </summary>
/// <remarks>An instance keeps the expanded subkeys of one key. Thread-safe: nothing changes after construction.</remarks>
public sealed class AesCmac : IDisposable
{
    /// <summary>Length in bytes of key, block and code.</summary>
    public const int BlockLength = 16;

    private const int ChunkLength = 32 * BlockLength;
    private const byte Polynomial = 0x87;

    private readonly Aes _aes = Aes.Create();
    private readonly Key128 _subkey1;
    private readonly Key128 _subkey2;

    /// <summary>A code under <paramref name="key"/>, 16 bytes.</summary>
    public AesCmac(ReadOnlySpan<byte> key)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(key.Length, BlockLength);
        _aes.Key = key.ToArray();
        Key128 zero = default;
        Key128 l = default;
        _aes.EncryptEcb(zero.AsReadOnlySpan(), l.AsSpan(), PaddingMode.None);
        Double(l.AsReadOnlySpan(), _subkey1.AsSpan());
        Double(_subkey1.AsReadOnlySpan(), _subkey2.AsSpan());
    }

    /// <summary>The code of <paramref name="message"/> under <paramref name="key"/>, for a key that is used once.</summary>
    public static Key128 Compute(ReadOnlySpan<byte> key, ReadOnlySpan<byte> message)
    {
        using AesCmac cmac = new(key);
        return cmac.Compute(message);
    }

    /// <summary>The code of <paramref name="message"/>.</summary>
    public Key128 Compute(ReadOnlySpan<byte> message)
    {
        Span<byte> chain = stackalloc byte[BlockLength];
        Span<byte> output = stackalloc byte[ChunkLength];
        chain.Clear();

        // All blocks but the last are plain CBC; the last, whole or not, is masked by a subkey.
        while (message.Length > BlockLength)
        {
            int length = Math.Min(ChunkLength, (message.Length - 1) / BlockLength * BlockLength);
            _aes.EncryptCbc(message[..length], chain, output, PaddingMode.None);
            output.Slice(length - BlockLength, BlockLength).CopyTo(chain);
            message = message[length..];
        }

        Span<byte> last = stackalloc byte[BlockLength];
        last.Clear();
        message.CopyTo(last);
        if (message.Length == BlockLength)
        {
            Xor(last, _subkey1.AsReadOnlySpan());
        }
        else
        {
            last[message.Length] = 0x80;
            Xor(last, _subkey2.AsReadOnlySpan());
        }

        Key128 mac = default;
        _aes.EncryptCbc(last, chain, mac.AsSpan(), PaddingMode.None);
        return mac;
    }

    /// <inheritdoc/>
    public void Dispose() => _aes.Dispose();

    private static void Double(ReadOnlySpan<byte> source, Span<byte> destination)
    {
        for (int i = 0; i < BlockLength - 1; i++)
        {
            destination[i] = (byte)((source[i] << 1) | (source[i + 1] >> 7));
        }

        byte carry = (byte)(-(source[0] >> 7));
        destination[^1] = (byte)((source[^1] << 1) ^ (carry & Polynomial));
    }

    private static void Xor(Span<byte> target, ReadOnlySpan<byte> mask)
    {
        for (int i = 0; i < BlockLength; i++)
        {
            target[i] ^= mask[i];
        }
    }
}
