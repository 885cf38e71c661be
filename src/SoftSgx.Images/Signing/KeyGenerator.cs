using System.Numerics;
using System.Security.Cryptography;
using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>
/// New RSA-3072 keys of exponent 3, the only ones that SIGSTRUCT has room for. .NET generates keys of exponent 65537 alone.
/// FIPS 186-5, section 5.1 and appendix A.1.3.
/// </summary>
/// <remarks>
/// The primes come from the platform's own key generation, which has its share of scrutiny, and are tested here once more. Of each key
/// that it makes, those primes are kept that go with exponent 3; the keys themselves are thrown away.
/// </remarks>
internal static class KeyGenerator
{
    private const int Bits = 8 * Bytes384.Size;
    private const int PrimeBytes = Bytes384.Size / 2;

    /// <summary>The primes differ by at least 2 to this power, so that their product's square root is near neither.</summary>
    private const int MinimumDistanceLog2 = (Bits / 2) - 100;

    /// <summary>Makes a key.</summary>
    /// <param name="progress">Is told now and then how likely it is to be done soon, from 0 to 1.</param>
    public static RSAParameters Generate(Action<double>? progress = null)
    {
        BigInteger p = 0;
        for (int drawn = 1; ; drawn++)
        {
            progress?.Invoke(1 - (1.0 / drawn));
            using RSA source = RSA.Create(Bits);
            RSAParameters material = source.ExportParameters(includePrivateParameters: true);
            foreach (byte[] bytes in new[] { material.P!, material.Q! })
            {
                BigInteger prime = new(bytes, isUnsigned: true, isBigEndian: true);
                if (!IsSuitable(prime)) continue;
                if (p.IsZero)
                {
                    p = prime;
                }
                else if (AreFarApart(p, prime) && (p * prime).GetBitLength() == Bits)
                {
                    return Combine(p, prime);
                }
            }
        }
    }

    /// <summary>True for a prime of 1,536 bits, less 1 no multiple of 3, so that 3 has an inverse.</summary>
    internal static bool IsSuitable(BigInteger prime) =>
        prime.GetBitLength() == Bits / 2 && prime % 3 == 2 && MillerRabin.IsPrime(prime);

    /// <summary>True if two primes are not so near each other that Fermat's method would factor their product.</summary>
    internal static bool AreFarApart(BigInteger p, BigInteger q) => BigInteger.Abs(p - q) > BigInteger.One << MinimumDistanceLog2;

    /// <summary>The key of two primes. The exponent's inverse is taken modulo the least common multiple, as FIPS 186-5 asks.</summary>
    internal static RSAParameters Combine(BigInteger p, BigInteger q)
    {
        BigInteger order = (p - 1) * (q - 1) / BigInteger.GreatestCommonDivisor(p - 1, q - 1);

        // 3·d = 1 + k·order; the order leaves 1 or 2 when divided by 3, which gives the k that makes d whole.
        BigInteger k = order % 3 == 2 ? 1 : 2;
        BigInteger d = (1 + (k * order)) / 3;
        return new RSAParameters
        {
            Modulus = Digits(p * q, Bytes384.Size),
            Exponent = [(byte)SigStruct.RequiredExponent],
            D = Digits(d, Bytes384.Size),
            P = Digits(p, PrimeBytes),
            Q = Digits(q, PrimeBytes),
            DP = Digits(d % (p - 1), PrimeBytes),
            DQ = Digits(d % (q - 1), PrimeBytes),
            InverseQ = Digits(BigInteger.ModPow(q, p - 2, p), PrimeBytes),
        };
    }

    private static byte[] Digits(BigInteger value, int length)
    {
        byte[] digits = value.ToByteArray(isUnsigned: true, isBigEndian: true);
        byte[] padded = new byte[length];
        digits.CopyTo(padded, length - digits.Length);
        return padded;
    }
}
