using System.Numerics;
using System.Security.Cryptography;

namespace SoftSgx.Images;

/// <summary>The Miller–Rabin test of primality. FIPS 186-5, appendix B.3.1.</summary>
internal static class MillerRabin
{
    /// <summary>A composite passes so many rounds with a probability below 4^-40, whoever chose it.</summary>
    public const int Rounds = 40;

    private static readonly int[] s_smallPrimes = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53];

    /// <summary>True if <paramref name="candidate"/> is prime, as far as random witnesses can tell.</summary>
    public static bool IsPrime(BigInteger candidate, int rounds = Rounds)
    {
        if (candidate < 2) return false;
        foreach (int prime in s_smallPrimes)
        {
            if (candidate == prime) return true;
            if (candidate % prime == 0) return false;
        }

        BigInteger last = candidate - 1;
        int twos = (int)BigInteger.TrailingZeroCount(last);
        BigInteger odd = last >> twos;
        byte[] random = new byte[candidate.GetByteCount(isUnsigned: true) + 8];
        for (int round = 0; round < rounds; round++)
        {
            // 64 bits more than the candidate has: the bias of the remainder does not matter.
            RandomNumberGenerator.Fill(random);
            BigInteger witness = 2 + (new BigInteger(random, isUnsigned: true) % (candidate - 3));
            if (IsWitness(witness, candidate, last, odd, twos)) return false;
        }

        return true;
    }

    private static bool IsWitness(BigInteger witness, BigInteger candidate, BigInteger last, BigInteger odd, int twos)
    {
        BigInteger power = BigInteger.ModPow(witness, odd, candidate);
        if (power.IsOne || power == last) return false;
        for (int i = 1; i < twos; i++)
        {
            power = BigInteger.ModPow(power, 2, candidate);
            if (power == last) return false;
            if (power.IsOne) return true;
        }

        return true;
    }
}
