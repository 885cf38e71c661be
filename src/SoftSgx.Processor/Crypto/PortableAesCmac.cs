using System.Security.Cryptography;
using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// AES-128-CMAC by the runtime's classes, for CPUs without AES instructions.
/// RFC 4493; NIST SP 800-38B.
/// </summary>
internal sealed class PortableAesCmac : IDisposable
{
    private const int BlockLength = AesCmac.BlockLength;
    private const int ChunkLength = 32 * BlockLength;

    private readonly Aes _aes = Aes.Create();
    private readonly Key128 _subkey1;
    private readonly Key128 _subkey2;

    /// <summary>A code under <paramref name="key"/>, 16 bytes.</summary>
    public PortableAesCmac(ReadOnlySpan<byte> key)
    {
        _aes.Key = key.ToArray();
        Key128 zero = default;
        Key128 l = default;
        _aes.EncryptEcb(zero.AsReadOnlySpan(), l.AsSpan(), PaddingMode.None);
        AesCmac.Double(l.AsReadOnlySpan(), _subkey1.AsSpan());
        AesCmac.Double(_subkey1.AsReadOnlySpan(), _subkey2.AsSpan());
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

    private static void Xor(Span<byte> target, ReadOnlySpan<byte> mask)
    {
        for (int i = 0; i < BlockLength; i++)
        {
            target[i] ^= mask[i];
        }
    }
}
