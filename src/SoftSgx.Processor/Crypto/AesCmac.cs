using System.Runtime.Intrinsics;
using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// AES-128-CMAC: the message authentication code behind reports, launch tokens and key derivation.
/// RFC 4493; NIST SP 800-38B.
/// </summary>
/// <remarks>
/// An instance keeps one key, expanded, and its subkeys. Thread-safe: nothing changes after construction. Nothing is allocated for a
/// code, nor for a key that is used once, where the CPU has AES instructions; <see cref="PortableAesCmac"/> serves the others.
/// </remarks>
public sealed class AesCmac : IDisposable
{
    /// <summary>Length in bytes of key, block and code.</summary>
    public const int BlockLength = 16;

    private const byte Polynomial = 0x87;

    private readonly Expanded _expanded;
    private readonly PortableAesCmac? _portable;

    /// <summary>A code under <paramref name="key"/>, 16 bytes.</summary>
    public AesCmac(ReadOnlySpan<byte> key)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(key.Length, BlockLength);
        if (Aes128.IsSupported)
        {
            _expanded = new Expanded(key);
        }
        else
        {
            _portable = new PortableAesCmac(key);
        }
    }

    /// <summary>The code of <paramref name="message"/> under <paramref name="key"/>, for a key that is used once.</summary>
    public static Key128 Compute(ReadOnlySpan<byte> key, ReadOnlySpan<byte> message)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(key.Length, BlockLength);
        if (Aes128.IsSupported)
        {
            Expanded expanded = new(key);
            return expanded.Compute(message);
        }

        using PortableAesCmac portable = new(key);
        return portable.Compute(message);
    }

    /// <summary>The code of <paramref name="message"/>.</summary>
    public Key128 Compute(ReadOnlySpan<byte> message) =>
        _portable is null ? _expanded.Compute(message) : _portable.Compute(message);

    /// <inheritdoc/>
    public void Dispose() => _portable?.Dispose();

    /// <summary>The next subkey: <paramref name="source"/> times x in the field of 2^128 elements.</summary>
    internal static void Double(ReadOnlySpan<byte> source, Span<byte> destination)
    {
        byte carry = (byte)(-(source[0] >> 7));
        for (int i = 0; i < BlockLength - 1; i++)
        {
            destination[i] = (byte)((source[i] << 1) | (source[i + 1] >> 7));
        }

        destination[BlockLength - 1] = (byte)((source[BlockLength - 1] << 1) ^ (carry & Polynomial));
    }

    private readonly struct Expanded
    {
        private const byte Padding = 0x80;

        private readonly Aes128 _cipher;
        private readonly Vector128<byte> _subkey1;
        private readonly Vector128<byte> _subkey2;

        public Expanded(ReadOnlySpan<byte> key)
        {
            _cipher = new Aes128(key);
            Span<byte> subkey = stackalloc byte[BlockLength];
            _cipher.Encrypt(Vector128<byte>.Zero).CopyTo(subkey);
            Double(subkey, subkey);
            _subkey1 = Vector128.Create<byte>(subkey);
            Double(subkey, subkey);
            _subkey2 = Vector128.Create<byte>(subkey);
        }

        public Key128 Compute(ReadOnlySpan<byte> message)
        {
            // All blocks but the last are plain CBC; the last, whole or not, is masked by a subkey.
            Vector128<byte> chain = Vector128<byte>.Zero;
            while (message.Length > BlockLength)
            {
                chain = _cipher.Encrypt(chain ^ Vector128.Create(message));
                message = message[BlockLength..];
            }

            Vector128<byte> last;
            if (message.Length == BlockLength)
            {
                last = Vector128.Create(message) ^ _subkey1;
            }
            else
            {
                Span<byte> padded = stackalloc byte[BlockLength];
                padded.Clear();
                message.CopyTo(padded);
                padded[message.Length] = Padding;
                last = Vector128.Create<byte>(padded) ^ _subkey2;
            }

            Key128 mac = default;
            _cipher.Encrypt(chain ^ last).CopyTo(mac.AsSpan());
            return mac;
        }
    }
}
