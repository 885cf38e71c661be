namespace SoftSgx.Cli.Tests;

/// <summary>Sizes as people write them.</summary>
public sealed class ByteSizeTests
{
    [Theory]
    [InlineData("4K", 4096UL)]
    [InlineData("60K", 61440UL)]
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
    [InlineData("0")]
    [InlineData("2K")]
    [InlineData("65537")]
    [InlineData("513G")]
    [InlineData("1T")]
    [InlineData("99999999999999999999")]
    [InlineData("18446744073709551615T")]
    [InlineData("16777216T")]
    public void Others_are_not(string text) => Assert.False(ByteSize.TryParse(text, out _));

    [Theory]
    [InlineData(0, "0 B")]
    [InlineData(1023, "1023 B")]
    [InlineData(1024, "1 KiB")]
    [InlineData(1536 * 1024, "1.5 MiB")]
    [InlineData(1L << 40, "1 TiB")]
    [InlineData(1L << 60, "1048576 TiB")]
    public void Sizes_are_written(long bytes, string text) => Assert.Equal(text, ByteSize.Format(bytes));
}
