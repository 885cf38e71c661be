using SoftSgx.Architecture;

namespace SoftSgx.Processor.Tests;

/// <summary>EINIT: signature, measurement, attributes, launch control.</summary>
public class EInitTests
{
    private static readonly Dictionary<string, (Action<Box<SigStruct>> Change, SgxError Error)> s_signed = new()
    {
        ["header"] = (b => b.Value.Header.AsSpan()[0] = 7, SgxError.SGX_INVALID_SIG_STRUCT),
        ["vendor"] = (b => b.Value.Vendor = 0x1022, SgxError.SGX_INVALID_SIG_STRUCT),
        ["header 2"] = (b => b.Value.Header2.AsSpan()[0] = 7, SgxError.SGX_INVALID_SIG_STRUCT),
        ["exponent"] = (b => b.Value.Exponent = 65537, SgxError.SGX_INVALID_SIG_STRUCT),
        ["reserved 1"] = (b => b.Value.Reserved1[0] = 1, SgxError.SGX_INVALID_SIG_STRUCT),
        ["reserved 2"] = (b => b.Value.Reserved2[0] = 1, SgxError.SGX_INVALID_SIG_STRUCT),
        ["reserved 3"] = (b => b.Value.Reserved3[0] = 1, SgxError.SGX_INVALID_SIG_STRUCT),
        ["reserved 4"] = (b => b.Value.Reserved4[0] = 1, SgxError.SGX_INVALID_SIG_STRUCT),
        ["family id without kss"] = (b => b.Value.IsvFamilyId.AsSpan()[0] = 1, SgxError.SGX_INVALID_SIG_STRUCT),
        ["measurement"] = (b => b.Value.EnclaveHash.AsSpan()[0] ^= 1, SgxError.SGX_INVALID_MEASUREMENT),
        ["attributes"] = (b => b.Value.Attributes.Flags |= AttributeFlags.DEBUG, SgxError.SGX_INVALID_ATTRIBUTE),
        ["xfrm"] = (b => b.Value.Attributes.Xfrm = 3, SgxError.SGX_INVALID_ATTRIBUTE),
        ["cet"] = (b => { b.Value.CetAttributes = 1; b.Value.CetAttributesMask = 1; }, SgxError.SGX_INVALID_ATTRIBUTE),
        ["miscselect"] = (b => b.Value.MiscSelect = MiscSelect.EXINFO, SgxError.SGX_INVALID_ATTRIBUTE),
        ["init demanded"] = (b => { b.Value.Attributes.Flags |= AttributeFlags.INIT; b.Value.AttributeMask.Flags |= AttributeFlags.INIT; }, SgxError.SGX_INVALID_ATTRIBUTE),
    };

    public static TheoryData<string> SignedRefusals => [.. s_signed.Keys];

    [Theory]
    [MemberData(nameof(SignedRefusals))]
    public void What_the_author_signed_must_fit(string what)
    {
        TestPlatform platform = new();
        TestEnclave enclave = new(platform);
        SigStruct sig = enclave.Signed(s_signed[what].Change);

        Assert.Equal(LeafResult.FromError(s_signed[what].Error), platform.Init(enclave.Logical, enclave.SecsPage, in sig));
        Assert.Equal(AttributeFlags.None, platform.Processor.SecsOf(enclave.SecsPage).Attributes.Flags & AttributeFlags.INIT);
        sig = enclave.Signed();
        Assert.Equal(LeafResult.Ok, platform.Init(enclave.Logical, enclave.SecsPage, in sig));
    }

    [Fact]
    public void Masked_bits_need_not_match()
    {
        TestPlatform platform = new();
        TestEnclave enclave = new(platform, new EnclaveOptions { Flags = TestPlatform.Flags | AttributeFlags.DEBUG, Misc = MiscSelect.EXINFO });
        SigStruct sig = enclave.Signed(b =>
        {
            b.Value.Attributes = new SgxAttributes(AttributeFlags.MODE64BIT, 3);
            b.Value.AttributeMask = new SgxAttributes((AttributeFlags)(~3UL), ~4UL);
            b.Value.MiscSelect = MiscSelect.None;
            b.Value.MiscMask = ~MiscSelect.EXINFO;
        });

        Assert.Equal(LeafResult.Ok, platform.Init(enclave.Logical, enclave.SecsPage, in sig));
    }

    [Fact]
    public void The_secs_takes_the_identity_over()
    {
        TestPlatform platform = new();
        TestEnclave enclave = TestEnclave.Initialized(platform);
        ref readonly Secs secs = ref platform.Processor.SecsOf(enclave.SecsPage);

        Assert.Equal(enclave.Log.Digest(), secs.MrEnclave);
        Assert.Equal(TestSigner.First.MrSigner, secs.MrSigner);
        Assert.Equal(3, secs.IsvProdId);
        Assert.Equal(5, secs.IsvSvn);
        Assert.Equal(TestPlatform.Flags | AttributeFlags.INIT, secs.Attributes.Flags);
    }

    [Fact]
    public void Without_a_token_only_the_authorised_signer_may_launch()
    {
        TestPlatform platform = new();
        TestEnclave enclave = new(platform);
        SigStruct sig = enclave.Signed();
        LogicalProcessor stranger = new();

        Assert.Equal(Hash256.From(LogicalProcessor.IntelPubKeyHash), stranger.LePubKeyHash);
        Assert.Equal(LeafResult.FromError(SgxError.SGX_INVALID_EINITTOKEN), platform.Init(stranger, enclave.SecsPage, in sig));
        stranger.LePubKeyHash = TestSigner.First.MrSigner;
        Assert.Equal(LeafResult.Ok, platform.Init(stranger, enclave.SecsPage, in sig));
    }

    [Fact]
    public void Only_the_authorised_signer_may_make_a_launch_enclave()
    {
        TestPlatform platform = new();
        TestEnclave enclave = new(platform, new EnclaveOptions { Flags = TestPlatform.Flags | AttributeFlags.EINITTOKEN_KEY });
        SigStruct sig = enclave.Signed();

        Assert.Equal(LeafResult.FromError(SgxError.SGX_INVALID_ATTRIBUTE), platform.Init(new LogicalProcessor(), enclave.SecsPage, in sig));
        Assert.Equal(LeafResult.Ok, platform.Init(enclave.Logical, enclave.SecsPage, in sig));
    }

    [Fact]
    public void Checks_come_in_the_manuals_order()
    {
        TestPlatform platform = new();
        TestEnclave enclave = new(platform, new EnclaveOptions { Flags = TestPlatform.Flags | AttributeFlags.EINITTOKEN_KEY });
        LogicalProcessor stranger = new();
        SigStruct sig = enclave.Signed();
        sig.Vendor = 1;
        sig.Signature.AsSpan()[0] ^= 1;

        // Everything is wrong; each step mends what was reported.
        Assert.Equal(ExceptionVector.PF, platform.Init(stranger, 256, in sig).Fault.Kind);
        Assert.Equal(SgxError.SGX_INVALID_SIG_STRUCT, platform.Init(stranger, enclave.DataPage, in sig).Error);
        sig.Vendor = 0;
        Assert.Equal(SgxError.SGX_INVALID_SIGNATURE, platform.Init(stranger, enclave.DataPage, in sig).Error);
        sig = enclave.Signed(b =>
        {
            b.Value.IsvFamilyId.AsSpan()[0] = 1;
            b.Value.EnclaveHash.AsSpan()[0] ^= 1;
            b.Value.Attributes.Xfrm = 3;
        });
        Assert.Equal(ExceptionVector.PF, platform.Init(stranger, enclave.DataPage, in sig).Fault.Kind);
        Assert.Equal(SgxError.SGX_INVALID_SIG_STRUCT, platform.Init(stranger, enclave.SecsPage, in sig).Error);
        sig = enclave.Signed(b =>
        {
            b.Value.EnclaveHash.AsSpan()[0] ^= 1;
            b.Value.Attributes.Xfrm = 3;
        });
        Assert.Equal(SgxError.SGX_INVALID_MEASUREMENT, platform.Init(stranger, enclave.SecsPage, in sig).Error);
        sig = enclave.Signed(b => b.Value.Attributes.Xfrm = 3);
        Assert.Equal(SgxError.SGX_INVALID_ATTRIBUTE, platform.Init(stranger, enclave.SecsPage, in sig).Error);
        Assert.Equal(SgxError.SGX_INVALID_ATTRIBUTE, platform.Init(enclave.Logical, enclave.SecsPage, in sig).Error);
        sig = enclave.Signed();
        Assert.Equal(SgxError.SGX_INVALID_ATTRIBUTE, platform.Init(stranger, enclave.SecsPage, in sig).Error);
        Assert.Equal(LeafResult.Ok, platform.Init(enclave.Logical, enclave.SecsPage, in sig));
    }

    [Fact]
    public void A_token_of_the_launch_enclave_lets_any_signer_launch()
    {
        TestPlatform platform = new();
        LogicalProcessor launching = new() { LePubKeyHash = TestSigner.Second.MrSigner };
        TestEnclave launcher = TestEnclave.Initialized(
            platform, new EnclaveOptions { Flags = TestPlatform.Flags | AttributeFlags.EINITTOKEN_KEY, Signer = TestSigner.Second });
        TestEnclave enclave = new(platform);
        SigStruct sig = enclave.Signed();
        EInitToken token = MakeToken(launcher, enclave);

        EInitToken wrong = token;
        wrong.Mac.AsSpan()[15] ^= 0x80;
        Assert.Equal(SgxError.SGX_INVALID_EINITTOKEN, Init(wrong).Error);
        wrong = token;
        wrong.KeyId.AsSpan()[0] ^= 1;
        Assert.Equal(SgxError.SGX_INVALID_EINITTOKEN, Init(wrong).Error);
        wrong = token;
        wrong.Reserved1[43] = 1;
        Assert.Equal(SgxError.SGX_INVALID_EINITTOKEN, Init(wrong).Error);
        wrong = token;
        wrong.Reserved4[0] = 1;
        Assert.Equal(SgxError.SGX_INVALID_EINITTOKEN, Init(wrong).Error);
        wrong = token;
        wrong.Valid = 3;
        Assert.Equal(SgxError.SGX_INVALID_EINITTOKEN, Init(wrong).Error);
        wrong = token;
        wrong.Valid = 0;
        Assert.Equal(SgxError.SGX_INVALID_EINITTOKEN, Init(wrong).Error);
        wrong = token;
        wrong.CpuSvnLe.AsSpan()[0] = 0xFF;
        Assert.Equal(SgxError.SGX_INVALID_CPUSVN, Init(wrong).Error);
        wrong = token;
        wrong.MaskedAttributesLe.Flags |= AttributeFlags.DEBUG;
        Assert.Equal(SgxError.SGX_INVALID_EINITTOKEN, Init(wrong).Error);

        TestEnclave other = new(platform, new EnclaveOptions { Fill = 0x77 });
        SigStruct otherSig = other.Signed();
        Assert.Equal(SgxError.SGX_INVALID_MEASUREMENT, platform.Init(launching, other.SecsPage, in otherSig, Bytes.Of(in token).ToArray()).Error);
        TestEnclave debug = new(platform, new EnclaveOptions { Flags = TestPlatform.Flags | AttributeFlags.DEBUG });
        SigStruct debugSig = debug.Signed();
        Assert.Equal(SgxError.SGX_INVALID_ATTRIBUTE, platform.Init(launching, debug.SecsPage, in debugSig, Bytes.Of(in token).ToArray()).Error);

        Assert.Equal(LeafResult.Ok, Init(token));

        LeafResult Init(EInitToken given) => platform.Init(launching, enclave.SecsPage, in sig, Bytes.Of(in given).ToArray());
    }

    /// <summary>What a launch enclave does: asks for the launch key and authenticates the first 192 bytes of a token.</summary>
    private static EInitToken MakeToken(TestEnclave launcher, TestEnclave enclave)
    {
        EInitToken token = default;
        token.Valid = 1;
        token.Attributes = new SgxAttributes(TestPlatform.Flags, TestPlatform.Xfrm);
        token.MrEnclave = enclave.Log.Digest();
        token.MrSigner = TestSigner.First.MrSigner;
        token.CpuSvnLe = Bytes16.From(launcher.Platform.Processor.Secrets.CpuSvn);
        token.IsvProdIdLe = 3;
        token.IsvSvnLe = 5;
        token.MaskedAttributesLe = new SgxAttributes(AttributeFlags.INIT, 0);
        token.KeyId.AsSpan().Fill(0x4B);

        KeyRequest request = default;
        request.KeyName = KeyName.EINITTOKEN_KEY;
        request.CpuSvn = token.CpuSvnLe;
        request.IsvSvn = 5;
        request.KeyId = token.KeyId;
        Key128 key = KeyHelper.GetKeyOnce(launcher, in request);
        token.Mac = AesCmac.Compute(key.AsReadOnlySpan(), Bytes.Of(in token)[..192]);
        return token;
    }
}
