using System.Diagnostics;

namespace SoftSgx.Bench;

/// <summary>A small timing harness: warm up, then several rounds; the median counts, the spread is shown.</summary>
internal static class Timing
{
    private static readonly TimeSpan s_warmUp = TimeSpan.FromSeconds(1);

    /// <summary>Times <paramref name="round"/>, which does its work <paramref name="operations"/> times.</summary>
    public static Sample Measure(long operations, Action round, int rounds = 9)
    {
        long warmUp = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(warmUp) < s_warmUp)
        {
            round();
        }

        double[] perOperation = new double[rounds];
        long allocated = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < rounds; i++)
        {
            long start = Stopwatch.GetTimestamp();
            round();
            perOperation[i] = Stopwatch.GetElapsedTime(start).TotalNanoseconds / operations;
        }

        allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;
        return Sample.Of(perOperation, (double)allocated / (operations * rounds));
    }

    /// <summary>
    /// Runs two rounds by turns, so that both see the same weather, and compares each turn for itself.
    /// Warms up by time, because the runtime compiles hot code anew in the background.
    /// </summary>
    /// <param name="operations">Operations of one round.</param>
    /// <param name="first">The yardstick.</param>
    /// <param name="second">What is compared with it.</param>
    /// <param name="afterSecond">Tidies up after the second; not timed.</param>
    /// <param name="rounds">How many turns count.</param>
    /// <returns>Both samples, and the median of first / second.</returns>
    public static (Sample First, Sample Second, double Ratio) MeasureByTurns(
        long operations, Action first, Action second, Action afterSecond, int rounds = 31)
    {
        long warmUp = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(warmUp) < s_warmUp)
        {
            first();
            second();
            afterSecond();
        }

        double[] firstTimes = new double[rounds];
        double[] secondTimes = new double[rounds];
        double[] ratios = new double[rounds];
        long firstAllocated = 0;
        long secondAllocated = 0;
        for (int i = 0; i < rounds; i++)
        {
            (firstTimes[i], long bytes) = Once(operations, first);
            firstAllocated += bytes;
            (secondTimes[i], bytes) = Once(operations, second);
            secondAllocated += bytes;
            ratios[i] = firstTimes[i] / secondTimes[i];
            afterSecond();
        }

        double count = operations * (double)rounds;
        return (
            Sample.Of(firstTimes, firstAllocated / count),
            Sample.Of(secondTimes, secondAllocated / count),
            ratios.Order().ElementAt(rounds / 2));
    }

    /// <summary>
    /// Runs two rounds by turns, each first in every other turn, and compares each turn for itself: for differences of a few in a hundred.
    /// </summary>
    /// <param name="first">The yardstick.</param>
    /// <param name="second">What is compared with it.</param>
    /// <param name="afterBoth">Tidies up after both; not timed.</param>
    /// <param name="turns">How many turns count.</param>
    /// <returns>second / first of each turn, ascending.</returns>
    public static double[] CompareByTurns(Action first, Action second, Action afterBoth, int turns)
    {
        double[] ratios = new double[turns];
        for (int i = 0; i < turns; i++)
        {
            bool isFirst = i % 2 == 0;
            double one = Once(1, isFirst ? first : second).Nanoseconds;
            double other = Once(1, isFirst ? second : first).Nanoseconds;
            ratios[i] = isFirst ? other / one : one / other;
            afterBoth();
        }

        Array.Sort(ratios);
        return ratios;
    }

    private static (double Nanoseconds, long Allocated) Once(long operations, Action round)
    {
        long allocated = GC.GetAllocatedBytesForCurrentThread();
        long start = Stopwatch.GetTimestamp();
        round();
        double time = Stopwatch.GetElapsedTime(start).TotalNanoseconds / operations;
        return (time, GC.GetAllocatedBytesForCurrentThread() - allocated);
    }
}

/// <summary>Nanoseconds of one operation over several rounds, and bytes allocated by one.</summary>
internal readonly record struct Sample(double Median, double Minimum, double Maximum, double AllocatedBytes)
{
    /// <summary>The sample of these rounds.</summary>
    public static Sample Of(double[] nanoseconds, double allocatedBytes)
    {
        double[] sorted = [.. nanoseconds.Order()];
        return new Sample(sorted[sorted.Length / 2], sorted[0], sorted[^1], allocatedBytes);
    }

    /// <summary>Median and range.</summary>
    public override string ToString() => $"{Median,10:N1} ns  ({Minimum:N1} to {Maximum:N1}), {AllocatedBytes:N2} bytes allocated";
}
