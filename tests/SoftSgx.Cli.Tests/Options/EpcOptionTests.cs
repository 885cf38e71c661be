using SoftSgx.Cli.Options;
using SoftSgx.Kernel;

namespace SoftSgx.Cli.Tests.Options;

/// <summary>EPC sections as people write them.</summary>
public sealed class EpcOptionTests
{
    [Theory]
    [InlineData("64K", "0+16@0")]
    [InlineData("96M", "0+24576@0")]
    [InlineData("64M@0,64M@1", "0+16384@0 16384+16384@1")]
    [InlineData("60K,4K@63", "0+15@0 15+1@63")]
    [InlineData("8K,8K,8K,8K,8K,8K,8K,8K", "0+2@0 2+2@0 4+2@0 6+2@0 8+2@0 10+2@0 12+2@0 14+2@0")]
    [InlineData("512G", "0+134217728@0")]
    public void Sections_are_read(string text, string sections)
    {
        Assert.Null(EpcOption.Parse(text, out EpcLayout? layout));
        Assert.Equal(sections, string.Join(' ', layout!.Sections.Select(static range => $"{range.FirstPage}+{range.Pages}@{range.Node}")));
    }

    [Theory]
    [InlineData("", "'' is no size")]
    [InlineData("64Q", "'64Q' is no size")]
    [InlineData("64M,", "'' is no size")]
    [InlineData("0,64M", "'0' is no size")]
    [InlineData("64M@", "'' is no NUMA node")]
    [InlineData("64M@x", "'x' is no NUMA node")]
    [InlineData("64M@-1", "'-1' is no NUMA node")]
    [InlineData("64M@64", "'64' is no NUMA node")]
    [InlineData("64M@1@2", "'1@2' is no NUMA node")]
    [InlineData("60K", "60 KiB is too small")]
    [InlineData("4K,8K@1", "12 KiB is too small")]
    [InlineData("512G,4K", "is too large")]
    [InlineData("8K,8K,8K,8K,8K,8K,8K,8K,8K", "at most 8 sections, not 9")]
    public void Others_are_refused_with_a_cure(string text, string problem)
    {
        string message = EpcOption.Parse(text, out EpcLayout? layout)!;
        Assert.Contains(problem, message, StringComparison.Ordinal);
        Assert.Matches("(give .*|leave some out)\\.$", message);
        Assert.Null(layout);
    }
}
