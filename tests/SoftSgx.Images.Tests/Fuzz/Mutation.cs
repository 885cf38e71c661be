using System.Buffers.Binary;
using System.Runtime.InteropServices;

namespace SoftSgx.Images.Tests.Fuzz;

/// <summary>Damages well-formed files: cut off, bits flipped, numbers replaced, pieces copied, inserted and taken out.</summary>
internal static class Mutation
{
    // Numbers at which sums and products overflow, and sizes and counts are just too large.
    private static readonly ulong[] s_odd =
    [
        0, 1, 2, 7, 8, 255, 256, 4095, 4096, 4097, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffff000,
        0x100000000,
        1UL << 36, 1UL << 47, 1UL << 56, 1UL << 63, ulong.MaxValue, ulong.MaxValue - 4095, ulong.MaxValue / 4096,
    ];

    /// <summary>One to four such changes.</summary>
    internal static byte[] Of(byte[] valid, Random random)
    {
        List<byte> file = [.. valid];
        Span<byte> number = stackalloc byte[sizeof(ulong)];
        for (int changes = random.Next(1, 5); changes > 0 && file.Count > 0; changes--)
        {
            int at = At(file, random);
            Span<byte> bytes = CollectionsMarshal.AsSpan(file);
            switch (random.Next(9))
            {
                case 0:
                    file.RemoveRange(at, file.Count - at);
                    break;
                case 1:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 2:
                    random.NextBytes(bytes.Slice(at, Math.Min(random.Next(1, 17), bytes.Length - at)));
                    break;
                case 3 or 4 or 5:
                    BinaryPrimitives.WriteUInt64LittleEndian(number, s_odd[random.Next(s_odd.Length)]);
                    int size = 1 << random.Next(4);
                    at = at / size * size;
                    number[..Math.Min(size, bytes.Length - at)].CopyTo(bytes[at..]);
                    break;
                case 6:
                    int from = random.Next(file.Count);
                    int length = Math.Min(random.Next(1, 256), file.Count - Math.Max(from, at));
                    bytes.Slice(from, length).CopyTo(bytes[at..]);
                    break;
                case 7:
                    byte[] more = new byte[random.Next(1, 65)];
                    random.NextBytes(more);
                    file.InsertRange(at, more);
                    break;
                default:
                    file.RemoveRange(at, Math.Min(random.Next(1, 65), file.Count - at));
                    break;
            }
        }

        return [.. file];
    }

    // Headers and tables stand at the ends of files; most of the middle is contents that nobody interprets.
    private static int At(List<byte> file, Random random) => random.Next(4) switch
    {
        0 => random.Next(Math.Min(file.Count, 1024)),
        1 => Math.Max(0, file.Count - 1 - random.Next(Math.Min(file.Count, 4096))),
        _ => random.Next(file.Count),
    };
}
