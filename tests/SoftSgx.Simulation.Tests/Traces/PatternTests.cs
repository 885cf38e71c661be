namespace SoftSgx.Simulation.Tests;

public class PatternTests
{
    [Theory]
    [InlineData(0.5)]
    [InlineData(0.9)]
    [InlineData(1.0)]
    [InlineData(1.2)]
    [InlineData(2.5)]
    public void Zipf_has_its_exponent(double exponent)
    {
        const int Pages = 1000;
        const int Samples = 2_000_000;
        ZipfPattern pattern = new(Pages, exponent);
        SplitMix64 random = new(11);
        long[] counts = new long[Pages + 1];
        for (int i = 0; i < Samples; i++)
        {
            counts[pattern.NextRank(ref random)]++;
        }

        // Chi-square over the ranks, those of the tail together so that each cell expects at least 50.
        double sum = Enumerable.Range(1, Pages).Sum(rank => Math.Pow(rank, -exponent));
        double chiSquare = 0;
        double expected = 0;
        double seen = 0;
        int cells = 0;
        for (int rank = 1; rank <= Pages; rank++)
        {
            expected += Samples * Math.Pow(rank, -exponent) / sum;
            seen += counts[rank];
            if (expected >= 50 || rank == Pages)
            {
                chiSquare += (seen - expected) * (seen - expected) / Math.Max(expected, 1);
                expected = seen = 0;
                cells++;
            }
        }

        double deviations = (chiSquare - (cells - 1)) / Math.Sqrt(2.0 * (cells - 1));
        Assert.InRange(deviations, -4, 4);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(64)]
    [InlineData(1000)]
    [InlineData(4097)]
    public void Ranks_are_scattered_over_all_pages(int pages)
    {
        ZipfPattern pattern = new((ulong)pages, 0.9);
        Assert.Equal(pages, Enumerable.Range(1, pages).Select(rank => pattern.PageOfRank((ulong)rank)).Distinct().Count());
        Assert.All(Enumerable.Range(1, pages), rank => Assert.InRange(pattern.PageOfRank((ulong)rank), 0UL, (ulong)pages - 1));
        SplitMix64 random = new(1);
        Assert.All(Enumerable.Range(0, 1000), _ => Assert.InRange(pattern.NextPage(ref random), 0UL, (ulong)pages - 1));
    }

    [Fact]
    public void Phases_move()
    {
        PhasesPattern pattern = new(1 << 20, 100, 1000);
        SplitMix64 random = new(5);
        HashSet<ulong> starts = [];
        for (int phase = 0; phase < 20; phase++)
        {
            ulong[] pages = [.. Enumerable.Range(0, 1000).Select(_ => pattern.NextPage(ref random))];
            Assert.InRange(pages.Max() - pages.Min(), 90UL, 99UL);
            starts.Add(pages.Min());
        }

        Assert.InRange(starts.Count, 19, 20);
    }

    [Fact]
    public void A_generated_trace_is_the_same_every_time_and_another_for_another_seed()
    {
        Assert.Equal(All(1), All(1));
        Assert.NotEqual(All(1), All(2));

        static TraceRun[] All(ulong seed)
        {
            using TraceReader reader = Make(seed).Open();
            TraceRun[] runs = new TraceRun[5000];
            Assert.Equal(5000, reader.Read(runs));
            Assert.Equal(0, reader.Read(new TraceRun[1]));
            return runs;
        }

        static GeneratedTrace Make(ulong seed) => new(
            [
                new GeneratedEnclave(new TraceEnclave(1000, 2), Parse("zipf:0.8")),
                new GeneratedEnclave(new TraceEnclave(50, 1), Parse("sequential")),
            ],
            5000,
            seed);
    }

    [Theory]
    [InlineData("zipf")]
    [InlineData("zipf:")]
    [InlineData("zipf:0")]
    [InlineData("zipf:-1")]
    [InlineData("zipf:17")]
    [InlineData("zipf:1e3")]
    [InlineData("zipf:NaN")]
    [InlineData("uniform:1")]
    [InlineData("phases:64M")]
    [InlineData("phases:1,1")]
    [InlineData("phases:64M,0")]
    [InlineData("random")]
    [InlineData("")]
    public void What_is_no_pattern_is_refused(string text)
    {
        Assert.False(PatternSpec.TryParse(text, out _, out string? problem));
        Assert.NotNull(problem);
    }

    private static PatternSpec Parse(string text)
    {
        Assert.True(PatternSpec.TryParse(text, out PatternSpec? spec, out _));
        return spec!;
    }
}
