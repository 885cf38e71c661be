using SoftSgx.Architecture;
using SoftSgx.Host.Platform;
using SoftSgx.Kernel;

namespace SoftSgx.Host.Tests.Platform;

/// <summary>Where the sections of an EPC are in physical memory.</summary>
public sealed class EpcPlacementTests
{
    private const ulong Base = 0x2000_0000_0000;

    [Fact]
    public void Sections_keep_their_order_and_those_of_a_node_follow_each_other()
    {
        EpcLayout layout = new((16, 1), (2, 0), (3, 1), (1, 63));
        Assert.Equal(
            [
                new EpcSection(Base + (1UL << 39), 16 * 4096),
                new EpcSection(Base, 2 * 4096),
                new EpcSection(Base + (1UL << 39) + (16 * 4096), 3 * 4096),
                new EpcSection(Base + (63UL << 39), 4096),
            ],
            EpcPlacement.Place(layout, Base));
    }

    [Fact]
    public void The_largest_EPC_on_the_last_node_ends_at_2_to_the_46()
    {
        EpcSection section = Assert.Single(EpcPlacement.Place(new EpcLayout((1 << 27, 63)), Base));
        Assert.Equal(1UL << 46, section.PhysicalBase + section.Size);
    }
}
