using SoftSgx.Cli.Options;
using SoftSgx.Kernel;

namespace SoftSgx.Cli.Tests.Options;

/// <summary>The reclaimer's settings as people write them.</summary>
public sealed class ReclaimOptionTests
{
    [Theory]
    [InlineData("batch=16,low=32,high=64,policy=lru", 16, 32, 64, ReplacementPolicyKind.Lru)]
    [InlineData("policy=2q", 16, 32, 64, ReplacementPolicyKind.TwoQueues)]
    [InlineData("policy=FIFO,batch=512", 512, 32, 64, ReplacementPolicyKind.Fifo)]
    [InlineData("high=100,low=0", 16, 0, 100, ReplacementPolicyKind.Lru)]
    [InlineData("low=64", 16, 64, 64, ReplacementPolicyKind.Lru)]
    public void Settings_are_read_and_the_others_are_the_defaults(string text, int batch, int low, int high, ReplacementPolicyKind policy)
    {
        Assert.Null(ReclaimOption.Parse(text, out ReclaimSettings settings));
        Assert.Equal(new ReclaimSettings { Batch = batch, LowPages = low, HighPages = high, Policy = policy }, settings);
    }

    [Theory]
    [InlineData("", "sets nothing")]
    [InlineData("batch", "'batch' sets nothing")]
    [InlineData("size=3", "'size=3' sets nothing")]
    [InlineData("low=1,,high=2", "'' sets nothing")]
    [InlineData("low=1,low=1", "low is given twice")]
    [InlineData("batch=x", "'x' is no number of pages")]
    [InlineData("batch=", "'' is no number of pages")]
    [InlineData("low=-1", "'-1' is no number of pages")]
    [InlineData("high=99999999999", "'99999999999' is no number of pages")]
    [InlineData("policy=mru", "'mru' is no replacement policy: give one of lru, fifo, 2q")]
    [InlineData("batch=0", "a batch has 1 to 512 pages, not 0")]
    [InlineData("batch=513", "a batch has 1 to 512 pages, not 513")]
    [InlineData("low=65", "the high watermark (64 pages) is below the low one (65 pages)")]
    public void Others_are_refused_with_a_cure(string text, string problem)
    {
        string message = ReclaimOption.Parse(text, out ReclaimSettings settings)!;
        Assert.Contains(problem, message, StringComparison.Ordinal);
        Assert.Matches("(give .*|leave one out)\\.$", message);
        Assert.Equal(new ReclaimSettings(), settings);
    }

    [Theory]
    [InlineData(63, false)]
    [InlineData(64, false)]
    [InlineData(65, true)]
    public void The_high_watermark_must_be_within_reach(int pages, bool fits) =>
        Assert.Equal(fits, ReclaimOption.Misfit(new ReclaimSettings(), new EpcLayout((pages, 0))) is null);

    [Fact]
    public void Every_policy_has_a_name() =>
        Assert.All(Enum.GetValues<ReplacementPolicyKind>(), static policy => Assert.Equal(policy, PolicyNames.Find(PolicyNames.NameOf(policy))));
}
