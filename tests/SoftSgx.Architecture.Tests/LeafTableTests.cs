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
