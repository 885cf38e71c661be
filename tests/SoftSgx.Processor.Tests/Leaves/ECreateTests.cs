using SoftSgx.Architecture;

namespace SoftSgx.Processor.Tests;

/// <summary>ECREATE: what it makes, and everything it refuses.</summary>
public class ECreateTests
{
    private delegate void Change(ref Secs secs);

    public static TheoryData<string> Refusals => [.. s_refusals.Keys];

    private static readonly Dictionary<string, Change> s_refusals = new()
    {
        ["xfrm without x87"] = (ref Secs s) => s.Attributes.Xfrm = 6,
        ["xfrm without sse"] = (ref Secs s) => s.Attributes.Xfrm = 5,
        ["xfrm beyond the configuration"] = (ref Secs s) => s.Attributes.Xfrm = 7 | (1UL << 9),
        ["cet attributes"] = (ref Secs s) => s.CetAttributes = 1,
        ["cet bitmap"] = (ref Secs s) => s.CetLegacyBitmapOffset = 0x1000,
        ["unknown miscselect"] = (ref Secs s) => s.MiscSelect = MiscSelect.CPINFO,
        ["no ssa frame"] = (ref Secs s) => s.SsaFrameSize = 0,
        ["base not canonical"] = (ref Secs s) => s.BaseAddress = 0x8000_0000_0000,
        ["base above 4 GiB outside 64-bit mode"] = (ref Secs s) => { s.Attributes.Flags = AttributeFlags.None; s.BaseAddress = 1UL << 32; },
        ["too large"] = (ref Secs s) => { s.EnclaveSize = 1UL << 56; s.BaseAddress = 0; },
        ["too large outside 64-bit mode"] = (ref Secs s) => { s.Attributes.Flags = AttributeFlags.None; s.EnclaveSize = 1UL << 31; s.BaseAddress = 0; },
        ["one page"] = (ref Secs s) => s.EnclaveSize = 4096,
        ["size zero"] = (ref Secs s) => s.EnclaveSize = 0,
        ["size no power of two"] = (ref Secs s) => { s.EnclaveSize = 0x3000; s.BaseAddress = 0; },
        ["base not aligned to size"] = (ref Secs s) => s.BaseAddress += 0x1000,
        ["init set"] = (ref Secs s) => s.Attributes.Flags |= AttributeFlags.INIT,
        ["cet attribute"] = (ref Secs s) => s.Attributes.Flags |= AttributeFlags.CET,
        ["aex-notify attribute"] = (ref Secs s) => s.Attributes.Flags |= AttributeFlags.AEXNOTIFY,
        ["reserved attribute"] = (ref Secs s) => s.Attributes.Flags |= (AttributeFlags)8,
        ["high attribute"] = (ref Secs s) => s.Attributes.Flags |= (AttributeFlags)(1UL << 63),
        ["reserved 1"] = (ref Secs s) => s.Reserved1[14] = 1,
        ["reserved 2"] = (ref Secs s) => s.Reserved2[31] = 1,
        ["reserved 3"] = (ref Secs s) => s.Reserved3[0] = 1,
        ["reserved 4, first"] = (ref Secs s) => s.Reserved4[0] = 1,
        ["reserved 4, last"] = (ref Secs s) => s.Reserved4[3833] = 1,
        ["configid without kss"] = (ref Secs s) => s.ConfigId.AsSpan()[5] = 1,
        ["configsvn without kss"] = (ref Secs s) => s.ConfigSvn = 1,
    };

    [Theory]
    [MemberData(nameof(Refusals))]
    public void A_bad_secs_is_a_general_protection_fault(string what)
    {
        TestPlatform platform = new();
        Secs secs = TestPlatform.DefaultSecs();
        s_refusals[what](ref secs);

        Assert.Equal(LeafResult.FromFault(Fault.GeneralProtection()), platform.Create(in secs, 0));
        Assert.False(platform.Processor.Epcm.IsValid(0));

        secs = TestPlatform.DefaultSecs();
        Assert.Equal(LeafResult.Ok, platform.Create(in secs, 0));
    }

    [Fact]
    public void The_epcm_entry_becomes_that_of_a_secs()
    {
        TestPlatform platform = new();
        Secs secs = TestPlatform.DefaultSecs(TestPlatform.Flags | AttributeFlags.KSS);
        secs.ConfigSvn = 7;
        secs.IsvSvn = 9;
        secs.IsvProdId = 9;
        secs.MrSigner.AsSpan().Fill(1);
        secs.MrEnclave.AsSpan().Fill(1);

        Assert.Equal(LeafResult.Ok, platform.Create(in secs, 4));
        Epcm epcm = platform.Processor.Epcm;
        Assert.True(epcm.IsValid(4));
        Assert.Equal(PageType.PT_SECS, epcm.TypeOf(4));
        Assert.Equal(SecInfoFlags.None, epcm.Permissions(4));
        Assert.Equal(0UL, epcm.EnclaveAddress(4));
        ref readonly Secs created = ref platform.Processor.SecsOf(4);
        Assert.Equal(7, created.ConfigSvn);
        Assert.Equal(0, created.IsvSvn);
        Assert.Equal(0, created.IsvProdId);
        Assert.True(created.MrSigner.IsZero);
        Assert.True(created.MrEnclave.IsZero);
    }

    [Fact]
    public void An_enclave_at_address_zero_is_an_enclave()
    {
        TestPlatform platform = new();
        Secs secs = TestPlatform.DefaultSecs();
        secs.BaseAddress = 0;

        Assert.Equal(LeafResult.Ok, platform.Create(in secs, 0));
    }

    [Fact]
    public void The_ssa_frame_must_hold_xsave_area_exinfo_and_gprs()
    {
        // 4,096 bytes hold GPRSGX, EXINFO and an XSAVE area of 3,896 bytes; one byte more does not fit.
        static LeafResult Create(int avxSize, MiscSelect misc)
        {
            ProcessorConfiguration configuration = new() { XsaveLayout = new XsaveLayout([new XsaveComponent(2, 576, avxSize)]) };
            TestPlatform platform = new(configuration);
            Secs secs = TestPlatform.DefaultSecs(misc: misc);
            return platform.Create(in secs, 0);
        }

        Assert.Equal(LeafResult.Ok, Create(3896 - 576, MiscSelect.EXINFO));
        Assert.Equal(LeafResult.FromFault(Fault.GeneralProtection()), Create(3897 - 576, MiscSelect.EXINFO));
        Assert.Equal(LeafResult.Ok, Create(3912 - 576, MiscSelect.None));
        Assert.Equal(LeafResult.FromFault(Fault.GeneralProtection()), Create(3913 - 576, MiscSelect.None));
    }

    [Theory]
    [InlineData(0x1BUL, true)]
    [InlineData(0xBUL, false)]
    [InlineData(0xE7UL, true)]
    [InlineData(0xE3UL, false)]
    [InlineData(0x27UL, false)]
    [InlineData(0x6_0007UL, true)]
    [InlineData(0x2_0007UL, false)]
    public void Xfrm_must_be_a_value_that_xcr0_could_have(ulong xfrm, bool accepted)
    {
        TestPlatform platform = new(new ProcessorConfiguration { Xfrm = ulong.MaxValue });
        Secs secs = TestPlatform.DefaultSecs(xfrm: xfrm, ssaFrameSize: 4);

        Assert.Equal(accepted, platform.Create(in secs, 0).IsSuccess);
    }

    [Fact]
    public void Checks_come_in_the_manuals_order()
    {
        TestPlatform platform = new();
        Secs good = TestPlatform.DefaultSecs();
        Secs bad = default;
        SecInfo wrongType = TestPlatform.RegInfo;
        SecInfo right = TestPlatform.SecsInfo;
        SecInfo reserved = right;
        reserved.Reserved[0] = 1;
        Assert.Equal(LeafResult.Ok, platform.Create(in good, 1));

        // Outside the EPC beats everything; operands beat the state of the page; that beats the SECS.
        Assert.Equal(ExceptionVector.PF, ECreate.Execute(platform.Processor, Bytes.Of(in bad), in wrongType, 1, 256).Fault.Kind);
        Assert.Equal(ExceptionVector.PF, ECreate.Execute(platform.Processor, Bytes.Of(in bad), in wrongType, 1, -1).Fault.Kind);
        Assert.Equal(ExceptionVector.GP, ECreate.Execute(platform.Processor, Bytes.Of(in good), in right, 1, 1).Fault.Kind);
        Assert.Equal(ExceptionVector.GP, ECreate.Execute(platform.Processor, Bytes.Of(in good), in reserved, 0, 1).Fault.Kind);
        Assert.Equal(ExceptionVector.GP, ECreate.Execute(platform.Processor, Bytes.Of(in good), in wrongType, 0, 1).Fault.Kind);
        Assert.Equal(ExceptionVector.PF, ECreate.Execute(platform.Processor, Bytes.Of(in bad), in right, 0, 1).Fault.Kind);
        Assert.Equal(ExceptionVector.GP, ECreate.Execute(platform.Processor, Bytes.Of(in bad), in right, 0, 2).Fault.Kind);
    }
}
