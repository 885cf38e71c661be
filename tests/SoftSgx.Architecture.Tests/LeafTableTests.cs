namespace SoftSgx.Architecture.Tests;

/// <summary>The leaf table against the enumerations, and numbers that programs rely on.</summary>
public class LeafTableTests
{
    [Fact]
    public void The_table_holds_every_leaf_once()
    {
        Assert.Equal(
            Enum.GetValues<EnclsLeaf>().Select(leaf => (LeafKind.ENCLS, (uint)leaf, leaf.ToString()))
                .Concat(Enum.GetValues<EncluLeaf>().Select(leaf => (LeafKind.ENCLU, (uint)leaf, leaf.ToString())))
                .Concat(Enum.GetValues<EnclvLeaf>().Select(leaf => (LeafKind.ENCLV, (uint)leaf, leaf.ToString()))),
            LeafTable.All.Select(leaf => (leaf.Kind, leaf.Number, leaf.Name)));
    }

    [Theory]
    [InlineData(LeafKind.ENCLU, 2, "EENTER")]
    [InlineData(LeafKind.ENCLU, 3, "ERESUME")]
    [InlineData(LeafKind.ENCLU, 4, "EEXIT")]
    [InlineData(LeafKind.ENCLS, 6, "EEXTEND")]
    [InlineData(LeafKind.ENCLS, 11, "EWB")]
    [InlineData(LeafKind.ENCLS, 0x18, "EUPDATESVN")]
    public void Leaves_have_the_manuals_numbers(LeafKind kind, uint number, string name) =>
        Assert.Equal(name, LeafTable.Find(kind, number)?.Name);

    [Fact]
    public void There_is_no_leaf_behind_the_last() => Assert.Null(LeafTable.Find(LeafKind.ENCLU, 10));

    [Fact]
    public void What_is_not_supported_says_why()
    {
        Assert.Equal(
            ["EVERIFYREPORT2", "EDECVIRTCHILD", "EINCVIRTCHILD", "ESETCONTEXT"],
            LeafTable.All.Where(leaf => leaf.Support == LeafSupport.NotSupported).Select(leaf => leaf.Name));
        Assert.All(LeafTable.All, leaf => Assert.Equal(leaf.Support == LeafSupport.NotSupported, leaf.Reason.Length > 0));
        Assert.All(LeafTable.All, leaf => Assert.Contains(leaf.Name, leaf.Source, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(EnclsLeaf.EINIT, LeafFeature.SGX1)]
    [InlineData(EnclsLeaf.EWB, LeafFeature.SGX1)]
    [InlineData(EnclsLeaf.EAUG, LeafFeature.SGX2)]
    [InlineData(EnclsLeaf.EMODT, LeafFeature.SGX2)]
    [InlineData(EnclsLeaf.ETRACKC, LeafFeature.OSS)]
    [InlineData(EnclsLeaf.ELDUC, LeafFeature.OSS)]
    [InlineData(EnclsLeaf.EUPDATESVN, LeafFeature.EUPDATESVN)]
    public void Leaves_belong_to_the_feature_that_enumerates_them(EnclsLeaf leaf, LeafFeature feature) =>
        Assert.Equal(feature, LeafTable.Find(LeafKind.ENCLS, (uint)leaf)?.Feature);

    [Fact]
    public void Gaps_between_numbers_are_no_leaves()
    {
        Assert.Null(LeafTable.Find(LeafKind.ENCLS, 0x14));
        Assert.Null(LeafTable.Find(LeafKind.ENCLS, 0x19));
        Assert.Null(LeafTable.Find(LeafKind.ENCLV, 3));
        Assert.Null(LeafTable.Find(LeafKind.ENCLS, uint.MaxValue));
    }

    [Theory]
    [InlineData(SgxError.SGX_INVALID_SIG_STRUCT, 1)]
    [InlineData(SgxError.SGX_INVALID_SIGNATURE, 8)]
    [InlineData(SgxError.SGX_CHILD_PRESENT, 13)]
    [InlineData(SgxError.SGX_INVALID_EINITTOKEN, 16)]
    [InlineData(SgxError.SGX_PAGE_ATTRIBUTES_MISMATCH, 19)]
    [InlineData(SgxError.SGX_INVALID_CPUSVN, 32)]
    [InlineData(SgxError.SGX_INVALID_ISVSVN, 64)]
    [InlineData(SgxError.SGX_UNMASKED_EVENT, 128)]
    [InlineData(SgxError.SGX_INVALID_KEYNAME, 256)]
    public void Error_codes_have_the_manuals_values(SgxError error, uint value) => Assert.Equal(value, (uint)error);

    [Fact]
    public void Faults_carry_what_the_processor_pushes()
    {
        Assert.Equal(new Fault(13, 0, 0), Fault.GeneralProtection());
        Assert.Equal(new Fault(6, 0, 0), Fault.InvalidOpcode());
        Assert.Equal(
            new Fault(14, 0x8007, 0x1234),
            Fault.Page(0x1234, PageFaultError.Present | PageFaultError.Write | PageFaultError.User | PageFaultError.Sgx));
    }

    [Fact]
    public void Secinfo_packs_type_and_permissions()
    {
        SecInfo info = SecInfo.For(PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.X);

        Assert.Equal(0x205UL, (ulong)info.Flags);
        Assert.Equal(PageType.PT_REG, info.PageType);
        Assert.True(info.IsReservedZero);
        info.Flags |= (SecInfoFlags)0x40;
        Assert.False(info.IsReservedZero);
        info = SecInfo.For(PageType.PT_TCS, SecInfoFlags.None);
        info.Reserved[55] = 1;
        Assert.False(info.IsReservedZero);
    }
}
