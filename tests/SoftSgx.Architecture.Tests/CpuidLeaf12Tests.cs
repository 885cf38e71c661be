namespace SoftSgx.Architecture.Tests;

/// <summary>CPUID leaf 0x12, sub-leaf by sub-leaf.</summary>
public class CpuidLeaf12Tests
{
    private static readonly SgxFeatures s_features = new()
    {
        Sgx1 = true,
        MiscSelect = MiscSelect.EXINFO,
        Attributes = AttributeFlags.DEBUG | AttributeFlags.MODE64BIT | AttributeFlags.PROVISIONKEY | AttributeFlags.EINITTOKEN_KEY | AttributeFlags.KSS,
        Xfrm = 0x0000_0001_0000_00E7,
        MaxEnclaveSizeLog2Not64 = 31,
        MaxEnclaveSizeLog2_64 = 36,
        EpcSections =
        [
            new EpcSection(0x0000_0001_8020_0000, 0x0000_0002_05D8_0000),
            new EpcSection(0x000F_F000_0000_0000, 0x1000),
        ],
    };

    [Fact]
    public void Sub_leaf_0_tells_leaves_and_sizes() =>
        Assert.Equal(new CpuidResult(0x1, 0x1, 0, 0x241F), CpuidLeaf12.Compute(s_features, 0));

    [Theory]
    [InlineData(false, false, false, 0x000u)]
    [InlineData(true, true, false, 0x003u)]
    [InlineData(true, false, true, 0x801u)]
    public void Sub_leaf_0_has_one_bit_a_feature(bool sgx1, bool sgx2, bool edeccssa, uint eax) =>
        Assert.Equal(eax, CpuidLeaf12.Compute(s_features with { Sgx1 = sgx1, Sgx2 = sgx2, EDecCssa = edeccssa }, 0).Eax);

    [Fact]
    public void Sub_leaf_0_has_the_manuals_bits_for_the_rest()
    {
        Assert.Equal(1u | (1u << 5), CpuidLeaf12.Compute(s_features with { Enclv = true }, 0).Eax);
        Assert.Equal(1u | (1u << 6), CpuidLeaf12.Compute(s_features with { Oversub = true }, 0).Eax);
        Assert.Equal(1u | (1u << 7), CpuidLeaf12.Compute(s_features with { EVerifyReport2 = true }, 0).Eax);
        Assert.Equal(1u | (1u << 10), CpuidLeaf12.Compute(s_features with { EUpdateSvn = true }, 0).Eax);
    }

    [Fact]
    public void Sub_leaf_1_tells_attributes_and_xfrm() =>
        Assert.Equal(new CpuidResult(0xB6, 0, 0xE7, 0x1), CpuidLeaf12.Compute(s_features, 1));

    [Fact]
    public void Sections_come_in_order_and_end_with_zeros()
    {
        Assert.Equal(new CpuidResult(0x8020_0001, 0x1, 0x05D8_0001, 0x2), CpuidLeaf12.Compute(s_features, 2));
        Assert.Equal(new CpuidResult(0x0000_0001, 0xF_F000, 0x0000_1001, 0), CpuidLeaf12.Compute(s_features, 3));
        Assert.Equal(default, CpuidLeaf12.Compute(s_features, 4));
        Assert.Equal(default, CpuidLeaf12.Compute(s_features, uint.MaxValue));
    }
}
