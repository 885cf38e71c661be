using SoftSgx.Cli.Options;
using SoftSgx.Kernel;

namespace SoftSgx.Cli.Tests.Options;

/// <summary>EPC pages as people write them.</summary>
public sealed class PoisonOptionTests
{
    [Fact]
    public void Pages_are_read()
    {
        Assert.Null(PoisonOption.Parse("0,17,2", out int[] pages));
        Assert.Equal([0, 17, 2], pages);
    }

    [Theory]
    [InlineData("")]
    [InlineData("x")]
    [InlineData("-1")]
    [InlineData("1,,2")]
    [InlineData("1-3")]
    [InlineData("99999999999")]
    public void Others_are_refused_with_a_cure(string text)
    {
        Assert.EndsWith("is no EPC page: give numbers from 0, such as 0 or 17,18.", PoisonOption.Parse(text, out int[] pages)!, StringComparison.Ordinal);
        Assert.Empty(pages);
    }

    [Fact]
    public void The_EPC_must_have_them()
    {
        EpcLayout epc = new((16, 0), (16, 1));
        Assert.Null(PoisonOption.Misfit([], epc));
        Assert.Null(PoisonOption.Misfit([0, 31], epc));
        Assert.StartsWith("there is no EPC page 32: the EPC has the pages 0 to 31;", PoisonOption.Misfit([0, 32], epc)!, StringComparison.Ordinal);
    }
}
