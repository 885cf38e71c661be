using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using AesInstructions = System.Runtime.Intrinsics.X86.Aes;

namespace SoftSgx.Processor;

/// <summary>
/// An expanded AES-128 key that encrypts single blocks by the CPU's AES instructions. The runtime's own classes allocate with every call
/// and every key, which the leaves must not.
/// FIPS 197; SDM vol. 2, AESENC, AESENCLAST and AESKEYGENASSIST.
/// </summary>
internal readonly struct Aes128
{
    private readonly RoundKeys _keys;

    /// <summary>Expands <paramref name="key"/>, 16 bytes. Only where <see cref="IsSupported"/>.</summary>
    public Aes128(ReadOnlySpan<byte> key)
    {
        _keys[0] = Vector128.Create(key);
        _keys[1] = Next(_keys[0], AesInstructions.KeygenAssist(_keys[0], 0x01));
        _keys[2] = Next(_keys[1], AesInstructions.KeygenAssist(_keys[1], 0x02));
        _keys[3] = Next(_keys[2], AesInstructions.KeygenAssist(_keys[2], 0x04));
        _keys[4] = Next(_keys[3], AesInstructions.KeygenAssist(_keys[3], 0x08));
        _keys[5] = Next(_keys[4], AesInstructions.KeygenAssist(_keys[4], 0x10));
        _keys[6] = Next(_keys[5], AesInstructions.KeygenAssist(_keys[5], 0x20));
        _keys[7] = Next(_keys[6], AesInstructions.KeygenAssist(_keys[6], 0x40));
        _keys[8] = Next(_keys[7], AesInstructions.KeygenAssist(_keys[7], 0x80));
        _keys[9] = Next(_keys[8], AesInstructions.KeygenAssist(_keys[8], 0x1B));
        _keys[10] = Next(_keys[9], AesInstructions.KeygenAssist(_keys[9], 0x36));
    }

    /// <summary>True if the CPU has the instructions.</summary>
    public static bool IsSupported => AesInstructions.IsSupported;

    /// <summary>Encrypts one block.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Vector128<byte> Encrypt(Vector128<byte> block)
    {
        block ^= _keys[0];
        block = AesInstructions.Encrypt(block, _keys[1]);
        block = AesInstructions.Encrypt(block, _keys[2]);
        block = AesInstructions.Encrypt(block, _keys[3]);
        block = AesInstructions.Encrypt(block, _keys[4]);
        block = AesInstructions.Encrypt(block, _keys[5]);
        block = AesInstructions.Encrypt(block, _keys[6]);
        block = AesInstructions.Encrypt(block, _keys[7]);
        block = AesInstructions.Encrypt(block, _keys[8]);
        block = AesInstructions.Encrypt(block, _keys[9]);
        return AesInstructions.EncryptLast(block, _keys[10]);
    }

    private static Vector128<byte> Next(Vector128<byte> key, Vector128<byte> assist)
    {
        key ^= Sse2.ShiftLeftLogical128BitLane(key, 4);
        key ^= Sse2.ShiftLeftLogical128BitLane(key, 4);
        key ^= Sse2.ShiftLeftLogical128BitLane(key, 4);
        return key ^ Sse2.Shuffle(assist.AsUInt32(), 0xFF).AsByte();
    }

    [InlineArray(11)]
    private struct RoundKeys
    {
#pragma warning disable IDE0044 // The one field of an inline array cannot be read-only.
        private Vector128<byte> _first;
#pragma warning restore IDE0044
    }
}
