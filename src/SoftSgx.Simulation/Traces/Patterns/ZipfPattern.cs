using System.Numerics;

namespace SoftSgx.Simulation;

/// <summary>
/// The page of rank k is accessed in proportion to 1 / k^s: few pages often, many rarely, as real programs do. Each sample costs the
/// same, however many pages there are.
/// </summary>
/// <remarks>
/// W. Hörmann, G. Derflinger, "Rejection-inversion to generate variates from monotone discrete distributions", ACM TOMACS 6(3), 1996.
/// Nothing is approximated: a rank is drawn from a continuous hat function and accepted with exactly the probability that corrects it.
/// Ranks are scattered over the pages by a fixed permutation, since hot pages of programs do not lie side by side.
/// </remarks>
public sealed class ZipfPattern : AccessPattern
{
    private const ulong Scatter1 = 0xBF58_476D_1CE4_E5B9;
    private const ulong Scatter2 = 0x94D0_49BB_1331_11EB;

    private readonly ulong _pages;
    private readonly double _exponent;
    private readonly double _hatAtFirst;
    private readonly double _hatAtLast;
    private readonly double _shortcut;
    private readonly ulong _mask;
    private readonly int _shift;

    /// <summary>A Zipf distribution.</summary>
    /// <param name="pages">How many pages.</param>
    /// <param name="exponent">s, above 0.</param>
    public ZipfPattern(ulong pages, double exponent)
    {
        ArgumentOutOfRangeException.ThrowIfZero(pages);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(exponent);
        _pages = pages;
        _exponent = exponent;
        _hatAtFirst = Hat(1.5) - 1;
        _hatAtLast = Hat(pages + 0.5);
        _shortcut = 2 - InverseHat(Hat(2.5) - Density(2));
        int bits = pages == 1 ? 1 : BitOperations.Log2(pages - 1) + 1;
        _mask = ulong.MaxValue >> (64 - bits);
        _shift = (bits + 1) / 2;
    }

    /// <inheritdoc/>
    public override ulong NextPage(ref SplitMix64 random) => PageOfRank(NextRank(ref random));

    /// <summary>The page of a rank.</summary>
    /// <param name="rank">1 is the rank of the page that is accessed most.</param>
    public ulong PageOfRank(ulong rank)
    {
        // Each step is a bijection of numbers of as many bits as the page count has; what is too large is permuted again.
        ulong page = rank - 1;
        do
        {
            page = (page * Scatter1) & _mask;
            page ^= page >> _shift;
            page = (page * Scatter2) & _mask;
            page ^= page >> _shift;
        }
        while (page >= _pages);

        return page;
    }

    /// <summary>Draws a rank.</summary>
    /// <param name="random">Where chance comes from.</param>
    /// <returns>1 to the number of pages.</returns>
    public ulong NextRank(ref SplitMix64 random)
    {
        while (true)
        {
            double u = _hatAtLast + (random.NextDouble() * (_hatAtFirst - _hatAtLast));
            double x = InverseHat(u);
            ulong rank = Math.Clamp((ulong)(x + 0.5), 1, _pages);
            if (rank - x <= _shortcut || u >= Hat(rank + 0.5) - Density(rank))
            {
                return rank;
            }
        }
    }

    // The integral of x^-s, and its inverse, both written so that they are exact near s = 1 as well.
    private double Hat(double x)
    {
        double log = Math.Log(x);
        return ExpM1OverX((1 - _exponent) * log) * log;
    }

    private double InverseHat(double y)
    {
        double t = Math.Max(y * (1 - _exponent), -1);
        return Math.Exp(Log1POverX(t) * y);
    }

    private double Density(double x) => Math.Exp(-_exponent * Math.Log(x));

    // (e^x - 1) / x and ln(1 + x) / x after W. Kahan: the rounding errors of numerator and denominator cancel.
    private static double ExpM1OverX(double x)
    {
        double e = Math.Exp(x);
        return e == 1 ? 1 : (e - 1) / Math.Log(e);
    }

    private static double Log1POverX(double x)
    {
        double one = 1 + x;
        return one == 1 ? 1 : Math.Log(one) / (one - 1);
    }
}
