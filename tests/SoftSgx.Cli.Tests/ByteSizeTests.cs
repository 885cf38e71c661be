namespace SoftSgx.Cli.Tests;

/// <summary>Sizes as people write them.</summary>
public sealed class ByteSizeTests
{
    [Theory]
    [InlineData("65536", 65536UL)]
    [InlineData("64K", 65536UL)]
    [InlineData("64k", 65536UL)]
    [InlineData("96M", 96UL << 20)]
    [InlineData("1G", 1UL << 30)]
    [InlineData("512G", 512UL << 30)]
    public void Sizes_are_read(string text, ulong bytes)
    {
        Assert.True(ByteSize.TryParse(text, out ulong read));
        Assert.Equal(bytes, read);
    }

    [Theory]
    [InlineData("")]
    [InlineData("M")]
    [InlineData("-1M")]
    [InlineData("+64M")]
    [InlineData(" 64M")]
    [InlineData("64MB")]
    [InlineData("64.5M")]
    [InlineData("60K")]
    [InlineData("65537")]
    [InlineData("513G")]
    [InlineData("1T")]
    [InlineData("99999999999999999999")]
    [InlineData("18446744073709551615T")]
    [InlineData("16777216T")]
    public void Others_are_not(string text) => Assert.False(ByteSize.TryParse(text, out _));
}
