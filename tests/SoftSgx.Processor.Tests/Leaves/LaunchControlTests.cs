using SoftSgx.Architecture;

namespace SoftSgx.Processor.Tests;

/// <summary>
/// Launch control from end to end: firmware's registers, a launch enclave that obtains the launch key, tokens, and EINIT of the enclaves
/// of others. SDM vol. 3D, "Intel SGX launch control configuration", EGETKEY, EINIT.
/// </summary>
public class LaunchControlTests
{
    private const AttributeFlags Production = AttributeFlags.MODE64BIT;
    private const AttributeFlags Debug = AttributeFlags.MODE64BIT | AttributeFlags.DEBUG;
    private const FeatureControl Locked = FeatureControl.Lock | FeatureControl.SgxEnable;
    private const FeatureControl Writable = Locked | FeatureControl.SgxLaunchControl;

    private static readonly LeafResult s_gp = LeafResult.GeneralProtection;

    /// <summary>The MSRs name the second signer; enclaves are the first one's.</summary>
    private static readonly ProcessorConfiguration s_locked = new() { FeatureControl = Locked, LePubKeyHash = TestSigner.Second.MrSigner };

    private static readonly Dictionary<string, (Action<Box<EInitToken>> Change, SgxError Error)> s_mangled = new()
    {
        ["no valid bit"] = (t => t.Value.Valid = 0, SgxError.SGX_INVALID_EINITTOKEN),
        ["reserved bits of VALID"] = (t => t.Value.Valid = 3, SgxError.SGX_INVALID_EINITTOKEN),
        ["reserved 1"] = (t => t.Value.Reserved1[0] = 1, SgxError.SGX_INVALID_EINITTOKEN),
        ["reserved 2"] = (t => t.Value.Reserved2[31] = 1, SgxError.SGX_INVALID_EINITTOKEN),
        ["reserved 3"] = (t => t.Value.Reserved3[0] = 1, SgxError.SGX_INVALID_EINITTOKEN),
        ["reserved 4"] = (t => t.Value.Reserved4[23] = 1, SgxError.SGX_INVALID_EINITTOKEN),
        ["attributes"] = (t => t.Value.Attributes.Flags ^= AttributeFlags.DEBUG, SgxError.SGX_INVALID_EINITTOKEN),
        ["mrenclave"] = (t => t.Value.MrEnclave.AsSpan()[0] ^= 1, SgxError.SGX_INVALID_EINITTOKEN),
        ["mrsigner"] = (t => t.Value.MrSigner.AsSpan()[31] ^= 1, SgxError.SGX_INVALID_EINITTOKEN),
        ["cpusvn of a newer platform"] = (t => t.Value.CpuSvnLe.AsSpan()[15] = 1, SgxError.SGX_INVALID_CPUSVN),
        ["another cpusvn"] = (t => t.Value.CpuSvnLe.AsSpan()[0] = 0, SgxError.SGX_INVALID_EINITTOKEN),
        ["product of the launch enclave"] = (t => t.Value.IsvProdIdLe++, SgxError.SGX_INVALID_EINITTOKEN),
        ["version of the launch enclave"] = (t => t.Value.IsvSvnLe++, SgxError.SGX_INVALID_EINITTOKEN),
        ["misc of the launch enclave"] = (t => t.Value.MaskedMiscSelectLe ^= MiscSelect.EXINFO, SgxError.SGX_INVALID_EINITTOKEN),
        ["attributes of the launch enclave"] = (t => t.Value.MaskedAttributesLe.Xfrm ^= 1, SgxError.SGX_INVALID_EINITTOKEN),
        ["key id"] = (t => t.Value.KeyId.AsSpan()[31] ^= 1, SgxError.SGX_INVALID_EINITTOKEN),
        ["mac"] = (t => t.Value.Mac.AsSpan()[0] ^= 1, SgxError.SGX_INVALID_EINITTOKEN),
    };

    public static TheoryData<string> Mangled => [.. s_mangled.Keys];

    [Theory]
    [InlineData(Production, Production, SgxError.SGX_SUCCESS)]
    [InlineData(Production, Debug, SgxError.SGX_SUCCESS)]
    [InlineData(Debug, Debug, SgxError.SGX_SUCCESS)]
    [InlineData(Debug, Production, SgxError.SGX_INVALID_EINITTOKEN)] // a debug launch enclave's key is known to its debugger
    public void The_launch_enclave_of_the_registers_signer_lets_others_launch(AttributeFlags launcher, AttributeFlags enclave, SgxError expected)
    {
        TestPlatform platform = new(s_locked);
        TestEnclave le = LaunchEnclave(platform, launcher);
        TestEnclave other = new(platform, new EnclaveOptions { Flags = enclave });

        Assert.Equal(SgxError.SGX_INVALID_EINITTOKEN, Init(other, default).Error); // not without a token
        LeafResult result = Init(other, Issue(le, other));
        Assert.Equal(expected, result.Error);
        Assert.Equal(expected == SgxError.SGX_SUCCESS, result.IsSuccess);
        Assert.Equal(result.IsSuccess, (platform.Processor.SecsOf(other.SecsPage).Attributes.Flags & AttributeFlags.INIT) != 0);
    }

    [Theory]
    [MemberData(nameof(Mangled))]
    public void A_mangled_token_is_refused_with_the_manuals_code(string what)
    {
        TestPlatform platform = new(s_locked);
        TestEnclave enclave = new(platform, new EnclaveOptions { Flags = Debug });
        EInitToken token = Issue(LaunchEnclave(platform, Production), enclave);
        Box<EInitToken> mangled = new() { Value = token };
        s_mangled[what].Change(mangled);

        Assert.Equal(s_mangled[what].Error, Init(enclave, mangled.Value).Error);
        Assert.Equal(LeafResult.Ok, Init(enclave, token));
    }

    [Fact]
    public void A_token_is_for_one_enclave_of_one_signer_with_its_attributes()
    {
        TestPlatform platform = new(s_locked);
        TestEnclave le = LaunchEnclave(platform, Production);
        EInitToken token = Issue(le, new TestEnclave(platform));

        Assert.Equal(SgxError.SGX_INVALID_MEASUREMENT, Init(new TestEnclave(platform, new EnclaveOptions { Fill = 0x77 }), token).Error);
        Assert.Equal(SgxError.SGX_INVALID_ATTRIBUTE, Init(new TestEnclave(platform, new EnclaveOptions { Flags = Debug }), token).Error);
        TestEnclave elsewhere = new(platform, new EnclaveOptions { Signer = TestSigner.Second });
        Assert.Equal(SgxError.SGX_INVALID_MEASUREMENT, Init(elsewhere, token).Error);
        Assert.Equal(LeafResult.Ok, Init(new TestEnclave(platform), token)); // and for every copy of that one
    }

    [Fact]
    public void A_token_counts_where_the_registers_name_its_launch_enclaves_signer()
    {
        TestPlatform platform = new(s_locked);
        TestEnclave enclave = new(platform);
        SigStruct sig = enclave.Signed();
        byte[] token = Bytes.Of(Issue(LaunchEnclave(platform, Production), enclave)).ToArray();
        LogicalProcessor intel = new();

        Assert.Equal(SgxError.SGX_INVALID_EINITTOKEN, platform.Init(intel, enclave.SecsPage, in sig, token).Error);
        Assert.Equal(LeafResult.Ok, platform.Init(new LogicalProcessor(s_locked), enclave.SecsPage, in sig, token));
    }

    [Fact]
    public void A_token_counts_on_its_own_platform_only()
    {
        TestPlatform platform = new(s_locked);
        TestPlatform other = new(s_locked, seed: "another platform");
        TestEnclave enclave = new(other);

        Assert.Equal(SgxError.SGX_INVALID_EINITTOKEN, Init(enclave, Issue(LaunchEnclave(platform, Production), enclave)).Error);
        Assert.Equal(LeafResult.Ok, Init(enclave, Issue(LaunchEnclave(other, Production), enclave)));
    }

    [Fact]
    public void A_launch_enclave_may_issue_tokens_as_its_own_older_version()
    {
        TestPlatform platform = new(s_locked);
        TestEnclave enclave = new(platform);
        TestEnclave le = LaunchEnclave(platform, Production);

        Assert.Equal(LeafResult.Ok, Init(enclave, Issue(le, enclave, isvSvn: 4)));
        KeyRequest newer = new() { KeyName = KeyName.EINITTOKEN_KEY, IsvSvn = 6 };
        RegisterFile registers = le.EnterOk();
        Assert.Equal(SgxError.SGX_INVALID_ISVSVN, KeyHelper.GetKey(le, ref registers, in newer, out _).Error);
    }

    [Fact]
    public void The_launch_key_is_for_launch_enclaves()
    {
        TestPlatform platform = new();
        TestEnclave enclave = TestEnclave.Initialized(platform);
        KeyRequest request = new() { KeyName = KeyName.EINITTOKEN_KEY };
        RegisterFile registers = enclave.EnterOk();

        Assert.Equal(SgxError.SGX_INVALID_ATTRIBUTE, KeyHelper.GetKey(enclave, ref registers, in request, out Key128 key).Error);
        Assert.All(key.AsReadOnlySpan().ToArray(), static left => Assert.Equal(0x11, left)); // what the page held before
    }

    [Fact]
    public void A_token_makes_no_launch_enclave_of_another_signers()
    {
        TestPlatform platform = new(s_locked);
        TestEnclave le = LaunchEnclave(platform, Production);
        TestEnclave pretender = new(platform, new EnclaveOptions { Flags = Production | AttributeFlags.EINITTOKEN_KEY });

        Assert.Equal(SgxError.SGX_INVALID_ATTRIBUTE, Init(pretender, Issue(le, pretender)).Error);
    }

    [Theory]
    [InlineData(FeatureControl.None, true, false, false)]
    [InlineData(FeatureControl.SgxEnable | FeatureControl.SgxLaunchControl, true, false, false)] // not locked: no SGX yet
    [InlineData(FeatureControl.Lock, true, false, false)]
    [InlineData(Locked, true, true, false)]
    [InlineData(Writable, true, true, true)]
    [InlineData(Locked, false, false, false)] // no SGX_LC: no such registers
    public void The_hash_registers_follow_feature_control(FeatureControl control, bool hasLaunchControl, bool reads, bool writes)
    {
        ProcessorConfiguration configuration = new() { FeatureControl = control, SgxLaunchControl = hasLaunchControl };
        LogicalProcessor logical = new(configuration);

        Assert.Equal(writes, configuration.LaunchControlWritable);
        for (uint msr = Msr.IA32_SGXLEPUBKEYHASH0; msr <= Msr.IA32_SGXLEPUBKEYHASH3; msr++)
        {
            int at = (int)(msr - Msr.IA32_SGXLEPUBKEYHASH0) * 8;
            Assert.Equal(reads ? LeafResult.Ok : s_gp, logical.ReadMsr(configuration, msr, out ulong value));
            Assert.Equal(reads ? BitConverter.ToUInt64(LogicalProcessor.IntelPubKeyHash[at..]) : 0, value);
            Assert.Equal(writes ? LeafResult.Ok : s_gp, logical.WriteMsr(configuration, msr, 0x0102_0304_0506_0708UL + msr));
            Assert.Equal(writes, logical.ReadMsr(configuration, msr, out value).IsSuccess && value == 0x0102_0304_0506_0708UL + msr);
        }

        Hash256 signer = TestSigner.First.MrSigner;
        Assert.Equal(writes ? LeafResult.Ok : s_gp, logical.WriteLePubKeyHash(configuration, in signer));
        Assert.Equal(writes, logical.LePubKeyHash == signer);
    }

    [Theory]
    [InlineData(0x8Bu)]
    [InlineData(0x90u)]
    public void The_neighbours_are_other_registers(uint msr)
    {
        LogicalProcessor logical = new();
        Assert.Equal(s_gp, logical.ReadMsr(new ProcessorConfiguration(), msr, out _));
        Assert.Equal(s_gp, logical.WriteMsr(new ProcessorConfiguration(), msr, 0));
    }

    [Fact]
    public void Firmware_writes_feature_control_once()
    {
        ProcessorConfiguration reset = new() { FeatureControl = FeatureControl.None };
        LogicalProcessor logical = new(reset);
        Hash256 signer = TestSigner.First.MrSigner;

        Assert.Equal(s_gp, logical.WriteMsr(reset, Msr.IA32_FEATURE_CONTROL, 1 << 19)); // reserved
        Assert.Equal(s_gp, logical.WriteMsr(reset with { SgxLaunchControl = false }, Msr.IA32_FEATURE_CONTROL, 1 << 17));
        Assert.Equal(s_gp, logical.WriteMsr(reset with { Sgx1 = false }, Msr.IA32_FEATURE_CONTROL, 1 << 18));
        Assert.Equal(LeafResult.Ok, logical.WriteMsr(reset, Msr.IA32_FEATURE_CONTROL, (ulong)Writable & ~1UL));
        Assert.Equal(LeafResult.Ok, logical.WriteMsr(reset, Msr.IA32_FEATURE_CONTROL, (ulong)Writable));
        Assert.Equal(s_gp, logical.WriteMsr(reset, Msr.IA32_FEATURE_CONTROL, (ulong)Writable));
        Assert.Equal(LeafResult.Ok, logical.ReadMsr(reset, Msr.IA32_FEATURE_CONTROL, out ulong value));
        Assert.Equal((ulong)Writable, value);
        Assert.Equal(LeafResult.Ok, logical.WriteLePubKeyHash(reset, in signer));
    }

    [Theory]
    [InlineData(FeatureControl.None)]
    [InlineData(FeatureControl.Lock | FeatureControl.SgxLaunchControl)]
    public void Until_firmware_enables_SGX_there_are_no_leaves(FeatureControl control)
    {
        ProcessorConfiguration configuration = new() { FeatureControl = control };
        TestPlatform platform = new(configuration);
        Secs secs = TestPlatform.DefaultSecs();
        RegisterFile registers = TestEnclave.HostRegisters();

        Assert.Equal(0u, CpuidLeaf12.Compute(configuration.Features, 0).Eax & 1);
        Assert.Equal(s_gp, platform.Create(in secs, 0));
        Assert.Equal(s_gp, Enclu.Execute(platform.Processor, new LogicalProcessor(configuration), ref registers, new LinearSpace(), []));
    }

    /// <summary>A launch enclave of the signer that the MSRs name, initialised without a token.</summary>
    private static TestEnclave LaunchEnclave(TestPlatform platform, AttributeFlags flags)
    {
        TestEnclave enclave = new(
            platform, new EnclaveOptions { Flags = flags | AttributeFlags.EINITTOKEN_KEY, Signer = TestSigner.Second, Fill = 0x1E });
        SigStruct sig = enclave.Signed();
        Assert.Equal(LeafResult.Ok, platform.Init(new LogicalProcessor(s_locked), enclave.SecsPage, in sig));
        return enclave;
    }

    /// <summary>What a launch enclave does: names the enclave, and authenticates that under the launch key.</summary>
    private static EInitToken Issue(TestEnclave launcher, TestEnclave enclave, ushort isvSvn = 5)
    {
        ref readonly Secs le = ref launcher.Platform.Processor.SecsOf(launcher.SecsPage);
        SigStruct sig = enclave.Signed();
        EInitToken token = default;
        token.Valid = 1;
        token.Attributes = enclave.Platform.Processor.SecsOf(enclave.SecsPage).Attributes;
        token.MrEnclave = sig.EnclaveHash;
        token.MrSigner = EnclaveSignature.MrSigner(in sig);
        token.CpuSvnLe = Bytes16.From(launcher.Platform.Processor.Secrets.CpuSvn);
        token.IsvProdIdLe = le.IsvProdId;
        token.IsvSvnLe = isvSvn;
        token.KeyId.AsSpan().Fill(0x4B);
        KeyRequest request = new()
        {
            KeyName = KeyName.EINITTOKEN_KEY,
            CpuSvn = token.CpuSvnLe,
            IsvSvn = isvSvn,
            KeyId = token.KeyId,
            AttributeMask = new SgxAttributes((AttributeFlags)ulong.MaxValue, 3),
            MiscMask = (MiscSelect)uint.MaxValue,
        };
        token.MaskedAttributesLe = le.Attributes & request.AttributeMask;
        token.MaskedMiscSelectLe = le.MiscSelect & request.MiscMask;
        Key128 key = KeyHelper.GetKeyOnce(launcher, in request);
        token.Mac = AesCmac.Compute(key.AsReadOnlySpan(), Bytes.Of(in token)[..EInitToken.AuthenticatedLength]);
        return token;
    }

    /// <summary>EINIT on a processor with these MSRs.</summary>
    private static LeafResult Init(TestEnclave enclave, EInitToken token)
    {
        SigStruct sig = enclave.Signed();
        return enclave.Platform.Init(new LogicalProcessor(s_locked), enclave.SecsPage, in sig, Bytes.Of(in token).ToArray());
    }
}
