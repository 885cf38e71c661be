using SoftSgx.Architecture;

namespace SoftSgx.Processor.Tests;

/// <summary>Sizes of XSAVE images, and the layout of the CPU that the tests run on.</summary>
public class XsaveLayoutTests
{
    [Theory]
    [InlineData(0x3UL, 576)]
    [InlineData(0x7UL, 832)]
    [InlineData(0x1BUL, 1088)]
    [InlineData(0xE7UL, 2688)]
    [InlineData(0x2E7UL, 2696)]
    [InlineData(0x6_02E7UL, 11008)]
    public void An_image_ends_with_its_last_component(ulong xfrm, int size) => Assert.Equal(size, XsaveLayout.Intel.SizeFor(xfrm));

    [Fact]
    public void The_layout_of_this_cpu_starts_with_avx_where_every_cpu_has_it()
    {
        XsaveLayout layout = XsaveLayout.FromCurrentProcessor();

        Assert.Equal((ulong)XFeatureMask.Legacy, layout.Supported & 3);
        if ((layout.Supported & (ulong)XFeatureMask.AVX) != 0)
        {
            Assert.Equal(new XsaveComponent(2, 576, 256), layout[2]);
        }

        Assert.Equal(0, layout[63].Size);
        Assert.Equal(0, layout[-1].Size);
    }

    [Theory]
    [InlineData(1, 576, 16)]
    [InlineData(2, 575, 16)]
    [InlineData(2, 576, 0)]
    [InlineData(63, 576, 16)]
    public void Impossible_components_are_refused(int index, int offset, int size) =>
        Assert.Throws<ArgumentException>(() => new XsaveLayout([new XsaveComponent(index, offset, size)]));

    [Fact]
    public void Cpuid_follows_from_the_configuration()
    {
        ProcessorConfiguration configuration = new() { EpcSections = [new EpcSection(0x1_0000_0000, 0x400_0000)] };

        Assert.Equal(new CpuidResult(1, 1, 0, 0x2C1F), CpuidLeaf12.Compute(configuration.Features, 0));
        Assert.Equal(new CpuidResult(0xB6, 0, 7, 0), CpuidLeaf12.Compute(configuration.Features, 1));
        Assert.Equal(0x36u, CpuidLeaf12.Compute((configuration with { Kss = false }).Features, 1).Eax);
        Assert.Equal(new CpuidResult(1, 1, 0x400_0001, 0), CpuidLeaf12.Compute(configuration.Features, 2));
        Assert.Equal(default, CpuidLeaf12.Compute(configuration.Features, 3));
    }
}
