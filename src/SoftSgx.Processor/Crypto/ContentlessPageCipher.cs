using System.Buffers.Binary;
using System.Numerics;
using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// For simulations in which the pages of enclaves have no contents: their MAC binds version, SECINFO, EID and linear address, so
/// that an old copy and another page are refused as ever, and no byte of them is touched. SECS and VA pages, which have contents,
/// are encrypted.
/// </summary>
/// <remarks>
/// <code>
/// MAC of an enclave page    mixed 8 | zero 8
/// </code>
/// The mix is keyed and no cryptography: nobody attacks a simulation but its tests. Thread-safe.
/// </remarks>
/// <param name="key">CR_BASE_PK, 16 bytes.</param>
internal sealed class ContentlessPageCipher(ReadOnlySpan<byte> key) : PageCipher
{
    private const int MixedLength = sizeof(ulong);
    private const ulong Multiplier = 0x9E37_79B9_7F4A_7C15;

    private readonly GcmPageCipher _withContents = new(key);
    private readonly ulong _key = BinaryPrimitives.ReadUInt64LittleEndian(key);

    /// <inheritdoc/>
    public override void Encrypt(
        ulong version, in MacHeader header, ReadOnlySpan<byte> page, Span<byte> destination, Span<byte> mac)
    {
        if (!EnclsChecks.IsChild(header.SecInfo.PageType))
        {
            _withContents.Encrypt(version, in header, page, destination, mac);
            return;
        }

        BinaryPrimitives.WriteUInt64LittleEndian(mac, Mix(version, in header));
        mac[MixedLength..].Clear();
    }

    /// <inheritdoc/>
    public override bool TryDecrypt(
        ulong version, in MacHeader header, ReadOnlySpan<byte> source, ReadOnlySpan<byte> mac, Span<byte> page)
    {
        if (!EnclsChecks.IsChild(header.SecInfo.PageType))
        {
            return _withContents.TryDecrypt(version, in header, source, mac, page);
        }

        return version != 0
            && header.SecInfo.IsReservedZero
            && Bytes.IsZero(in header.Reserved)
            && BinaryPrimitives.ReadUInt64LittleEndian(mac) == Mix(version, in header)
            && mac[MixedLength..].IndexOfAnyExcept((byte)0) < 0;
    }

    private ulong Mix(ulong version, in MacHeader header)
    {
        ulong mixed = Step(_key, version);
        mixed = Step(mixed, (ulong)header.SecInfo.Flags);
        mixed = Step(mixed, header.Eid);
        return Step(mixed, header.LinAddr);
    }

    // Each step is a bijection of the value for any state, so inputs that differ in one field never collide.
    private static ulong Step(ulong state, ulong value)
    {
        ulong mixed = (state ^ value) * Multiplier;
        mixed ^= mixed >> 32;
        return BitOperations.RotateLeft(mixed * Multiplier, 29);
    }
}
