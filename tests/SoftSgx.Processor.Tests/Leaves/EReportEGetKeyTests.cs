using SoftSgx.Architecture;

namespace SoftSgx.Processor.Tests;

/// <summary>EREPORT and EGETKEY: who gets which key, and what every key depends on.</summary>
public class EReportEGetKeyTests
{
    private static readonly LeafResult s_gp = LeafResult.FromFault(Fault.GeneralProtection());

    [Fact]
    public void A_report_is_verified_by_its_target_on_the_same_platform_only()
    {
        TestPlatform platform = new();
        TestEnclave reporter = TestEnclave.Initialized(platform, new EnclaveOptions { Fill = 0x21 });
        TestEnclave target = TestEnclave.Initialized(platform, new EnclaveOptions { Fill = 0x22, Signer = TestSigner.Second });
        TestEnclave stranger = TestEnclave.Initialized(platform, new EnclaveOptions { Fill = 0x23 });
        TestEnclave elsewhere = TestEnclave.Initialized(new TestPlatform(seed: "another platform"), new EnclaveOptions { Fill = 0x22, Signer = TestSigner.Second });
        TestEnclave restarted = TestEnclave.Initialized(new TestPlatform(), new EnclaveOptions { Fill = 0x22, Signer = TestSigner.Second });

        Report report = KeyHelper.ReportOnce(reporter, KeyHelper.TargetOf(target));

        Assert.True(Verifies(target, report));
        Assert.True(Verifies(restarted, report));
        Assert.False(Verifies(stranger, report));
        Assert.False(Verifies(reporter, report));
        Assert.False(Verifies(elsewhere, report));
        report.Body.ReportData.AsSpan()[63] ^= 1;
        Assert.False(Verifies(target, report));
    }

    [Fact]
    public void A_report_tells_the_enclaves_identity()
    {
        TestPlatform platform = new();
        TestEnclave enclave = TestEnclave.Initialized(platform, new EnclaveOptions
        {
            Flags = TestPlatform.Flags | AttributeFlags.KSS,
            ConfigIdFill = 0xC1,
            ConfigSvn = 9,
            FamilyIdFill = 0xFA,
            ExtProdIdFill = 0xE0,
            Misc = MiscSelect.EXINFO,
        });
        Report report = KeyHelper.ReportOnce(enclave, KeyHelper.TargetOf(enclave), dataFill: 0x44);

        ReportBody expected = default;
        expected.CpuSvn = Bytes16.From(platform.Processor.Secrets.CpuSvn);
        expected.MiscSelect = MiscSelect.EXINFO;
        expected.IsvExtProdId.AsSpan().Fill(0xE0);
        expected.Attributes = new SgxAttributes(TestPlatform.Flags | AttributeFlags.KSS | AttributeFlags.INIT, TestPlatform.Xfrm);
        expected.MrEnclave = enclave.Log.Digest();
        expected.MrSigner = TestSigner.First.MrSigner;
        expected.ConfigId.AsSpan().Fill(0xC1);
        expected.IsvProdId = 3;
        expected.IsvSvn = 5;
        expected.ConfigSvn = 9;
        expected.IsvFamilyId.AsSpan().Fill(0xFA);
        expected.ReportData.AsSpan().Fill(0x44);
        Assert.Equal(Convert.ToHexString(Bytes.Of(in expected)), Convert.ToHexString(Bytes.Of(in report.Body)));
        Assert.Equal(platform.Processor.Secrets.ReportKeyId.ToArray(), report.KeyId.AsReadOnlySpan().ToArray());
    }

    [Theory]
    [InlineData("mrenclave")]
    [InlineData("attributes")]
    [InlineData("miscselect")]
    [InlineData("configid")]
    [InlineData("configsvn")]
    public void A_report_for_another_target_does_not_verify(string what)
    {
        TestPlatform platform = new();
        TestEnclave enclave = TestEnclave.Initialized(platform);
        TargetInfo target = KeyHelper.TargetOf(enclave);
        Assert.True(Verifies(enclave, KeyHelper.ReportOnce(enclave, in target)));
        switch (what)
        {
            case "mrenclave": target.Measurement.AsSpan()[0] ^= 1; break;
            case "attributes": target.Attributes.Flags ^= AttributeFlags.DEBUG; break;
            case "miscselect": target.MiscSelect ^= MiscSelect.EXINFO; break;
            case "configid": target.ConfigId.AsSpan()[0] ^= 1; break;
            case "configsvn": target.ConfigSvn ^= 1; break;
        }

        Assert.False(Verifies(enclave, KeyHelper.ReportOnce(enclave, in target)));
    }

    public static TheoryData<string, string, bool> SealKeys => new()
    {
        // policy of both, what differs in the second, same key?
        { "signer", "nothing", true },
        { "signer", "fill", true },
        { "signer", "isvsvn of the enclave", true },
        { "signer", "isvprodid", false },
        { "signer", "signer", false },
        { "signer", "debug", false },
        { "signer", "keyid", false },
        { "signer", "isvsvn of the request", false },
        { "signer", "cpusvn", false },
        { "signer", "attribute mask", false },
        { "signer", "misc mask", false },
        { "signer", "platform", false },
        { "enclave", "nothing", true },
        { "enclave", "fill", false },
        { "enclave", "isvsvn of the enclave", true },
        { "none", "signer", true },
        { "no prodid", "isvprodid", true },
        { "signer", "configid", true },
        { "configid", "configid", false },
        { "configid", "configsvn of the request", false },
        { "signer", "family", true },
        { "family", "family", false },
        { "signer", "extprodid", true },
        { "extprodid", "extprodid", false },
    };

    [Theory]
    [MemberData(nameof(SealKeys))]
    public void A_seal_key_depends_on_what_its_policy_says(string policy, string difference, bool same)
    {
        EnclaveOptions options = new() { Flags = TestPlatform.Flags | AttributeFlags.KSS, ConfigSvn = 9 };
        KeyRequest request = default;
        request.KeyName = KeyName.SEAL_KEY;
        request.IsvSvn = 4;
        request.KeyPolicy = policy switch
        {
            "signer" => KeyPolicy.MRSIGNER,
            "enclave" => KeyPolicy.MRENCLAVE,
            "no prodid" => KeyPolicy.MRSIGNER | KeyPolicy.NOISVPRODID,
            "configid" => KeyPolicy.MRSIGNER | KeyPolicy.CONFIGID,
            "family" => KeyPolicy.MRSIGNER | KeyPolicy.ISVFAMILYID,
            "extprodid" => KeyPolicy.MRSIGNER | KeyPolicy.ISVEXTPRODID,
            _ => KeyPolicy.None,
        };
        KeyRequest changed = request;
        EnclaveOptions other = options;
        switch (difference)
        {
            case "fill": other = options with { Fill = 0x99 }; break;
            case "signer": other = options with { Signer = TestSigner.Second }; break;
            case "debug": other = options with { Flags = options.Flags | AttributeFlags.DEBUG }; break;
            case "isvsvn of the enclave": other = options with { IsvSvn = 8 }; break;
            case "isvprodid": other = options with { IsvProdId = 4 }; break;
            case "configid": other = options with { ConfigIdFill = 0xC1 }; break;
            case "family": other = options with { FamilyIdFill = 0xFA }; break;
            case "extprodid": other = options with { ExtProdIdFill = 0xE0 }; break;
            case "keyid": changed.KeyId.AsSpan()[31] = 1; break;
            case "isvsvn of the request": changed.IsvSvn = 3; break;
            case "configsvn of the request": changed.ConfigSvn = 1; break;
            case "cpusvn": changed.CpuSvn.AsSpan()[0] = 1; break;
            case "attribute mask": changed.AttributeMask.Xfrm = 1; break;
            case "misc mask": changed.MiscMask = MiscSelect.EXINFO; break;
        }

        Key128 one = KeyHelper.GetKeyOnce(TestEnclave.Initialized(new TestPlatform(), options), in request);
        TestPlatform platform = difference == "platform" ? new TestPlatform(seed: "another") : new TestPlatform();
        Key128 two = KeyHelper.GetKeyOnce(TestEnclave.Initialized(platform, other), in changed);

        Assert.False(one.IsZero);
        Assert.Equal(same, one == two);
    }

    [Fact]
    public void Key_names_give_unlike_keys_and_provisioning_keys_take_no_key_id()
    {
        EnclaveOptions options = new() { Flags = TestPlatform.Flags | AttributeFlags.PROVISIONKEY | AttributeFlags.EINITTOKEN_KEY };
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform(), options);
        Dictionary<KeyName, Key128> keys = [];
        foreach (KeyName name in Enum.GetValues<KeyName>())
        {
            KeyRequest request = default;
            request.KeyName = name;
            keys[name] = KeyHelper.GetKeyOnce(enclave, in request);
            request.KeyId.AsSpan().Fill(1);
            Key128 withKeyId = KeyHelper.GetKeyOnce(enclave, in request);
            Assert.Equal(name is KeyName.PROVISION_KEY or KeyName.PROVISION_SEAL_KEY, keys[name] == withKeyId);
        }

        Assert.Equal(5, keys.Values.Select(key => key.ToString()).Distinct().Count());
    }

    [Fact]
    public void Provisioning_keys_belong_to_signer_and_product_not_to_the_enclave()
    {
        EnclaveOptions options = new() { Flags = TestPlatform.Flags | AttributeFlags.PROVISIONKEY };
        foreach (KeyName name in new[] { KeyName.PROVISION_KEY, KeyName.PROVISION_SEAL_KEY })
        {
            KeyRequest request = default;
            request.KeyName = name;
            Key128 key = Get(options);
            Assert.Equal(key, Get(options with { Fill = 0x31 }));
            Assert.NotEqual(key, Get(options with { Signer = TestSigner.Second }));
            Assert.NotEqual(key, Get(options with { IsvProdId = 77 }));

            Key128 Get(EnclaveOptions with) => KeyHelper.GetKeyOnce(TestEnclave.Initialized(new TestPlatform(), with), in request);
        }
    }

    [Theory]
    [InlineData(KeyName.PROVISION_KEY, SgxError.SGX_INVALID_ATTRIBUTE)]
    [InlineData(KeyName.PROVISION_SEAL_KEY, SgxError.SGX_INVALID_ATTRIBUTE)]
    [InlineData(KeyName.EINITTOKEN_KEY, SgxError.SGX_INVALID_ATTRIBUTE)]
    [InlineData((KeyName)5, SgxError.SGX_INVALID_KEYNAME)]
    [InlineData((KeyName)0xFFFF, SgxError.SGX_INVALID_KEYNAME)]
    public void Keys_need_their_attribute(KeyName name, SgxError expected)
    {
        KeyRequest request = default;
        request.KeyName = name;

        AssertRefused(TestEnclave.Initialized(new TestPlatform()), in request, expected);
    }

    [Fact]
    public void Errors_come_in_the_manuals_order()
    {
        TestEnclave plain = TestEnclave.Initialized(new TestPlatform());
        TestEnclave enclave = TestEnclave.Initialized(
            new TestPlatform(), new EnclaveOptions { Flags = TestPlatform.Flags | AttributeFlags.PROVISIONKEY | AttributeFlags.KSS, ConfigSvn = 2 });
        KeyRequest request = default;
        request.KeyName = KeyName.PROVISION_SEAL_KEY;
        request.CpuSvn.AsSpan()[15] = 0xFF;
        request.IsvSvn = 6;

        AssertRefused(plain, in request, SgxError.SGX_INVALID_ATTRIBUTE);
        request.ConfigSvn = 3;
        AssertRefused(enclave, in request, SgxError.SGX_INVALID_CPUSVN);
        request.CpuSvn = default;
        AssertRefused(enclave, in request, SgxError.SGX_INVALID_ISVSVN);
        request.IsvSvn = 5;
        AssertRefused(enclave, in request, SgxError.SGX_INVALID_ISVSVN);
        request.ConfigSvn = 2;
        KeyHelper.GetKeyOnce(enclave, in request);

        // The report key ignores versions: it is always the present one.
        request.KeyName = KeyName.REPORT_KEY;
        request.IsvSvn = 99;
        request.CpuSvn.AsSpan().Fill(0xFF);
        KeyHelper.GetKeyOnce(enclave, in request);
    }

    [Theory]
    [InlineData("reserved 1")]
    [InlineData("reserved 2")]
    [InlineData("policy")]
    [InlineData("kss policy")]
    [InlineData("configsvn")]
    public void A_malformed_request_is_a_general_protection_fault(string what)
    {
        KeyRequest request = default;
        request.KeyName = KeyName.SEAL_KEY;
        switch (what)
        {
            case "reserved 1": request.Reserved1[0] = 1; break;
            case "reserved 2": request.Reserved2[433] = 1; break;
            case "policy": request.KeyPolicy = (KeyPolicy)0x40; break;
            case "kss policy": request.KeyPolicy = KeyPolicy.NOISVPRODID; break;
            case "configsvn": request.ConfigSvn = 1; break;
        }

        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform());
        RegisterFile registers = enclave.EnterOk();
        Assert.Equal(s_gp, KeyHelper.GetKey(enclave, ref registers, in request, out _));
    }

    [Fact]
    public void Operands_must_be_aligned_inside_and_mapped()
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform());
        RegisterFile registers = enclave.EnterOk();
        ulong data = TestEnclave.DataAddress;
        ulong outside = TestPlatform.Base + TestPlatform.Size;
        ulong absent = TestPlatform.Base + 0x8_0000;
        ulong aliased = TestPlatform.Base + 0x9_0000;
        enclave.Space.Map(outside, enclave.DataPage);
        enclave.Space.Map(aliased, enclave.DataPage);
        enclave.Space.Map(TestPlatform.Base + 0xA_0000, LinearSpace.Ordinary);
        const PageFaultError Epcm = PageFaultError.Present | PageFaultError.User | PageFaultError.Sgx;

        Assert.Equal(s_gp, Key(data + 16, data + 512));
        Assert.Equal(s_gp, Key(outside, data + 512));
        Assert.Equal(LeafResult.FromFault(Fault.Page(absent, PageFaultError.User)), Key(absent, data + 512));
        Assert.Equal(LeafResult.FromFault(Fault.Page(aliased, Epcm)), Key(aliased, data + 512));
        Assert.Equal(LeafResult.FromFault(Fault.Page(TestPlatform.Base, Epcm)), Key(TestPlatform.Base, data + 512));
        Assert.Equal(LeafResult.FromFault(Fault.Page(TestPlatform.Base + 0xA_0000, Epcm)), Key(TestPlatform.Base + 0xA_0000, data + 512));
        Assert.Equal(s_gp, Key(data, data + 8));
        Assert.Equal(s_gp, Key(data, outside));
        Assert.Equal(
            LeafResult.FromFault(Fault.Page(absent, PageFaultError.User | PageFaultError.Write)), Key(data, absent));
        Assert.Equal(
            LeafResult.FromFault(Fault.Page(aliased, Epcm | PageFaultError.Write)), Key(data, aliased));

        // A page of another enclave, at the very address where this one has its own.
        TestEnclave other = TestEnclave.Initialized(enclave.Platform);
        enclave.Space.Map(data, other.DataPage);
        Assert.Equal(LeafResult.FromFault(Fault.Page(data, Epcm)), Key(data, enclave.LastAddress));
        enclave.Space.Map(data, enclave.DataPage);

        // Reserved bytes of TARGETINFO go before the other operands.
        Assert.Equal(s_gp, Report(data, absent, data + 1024));
        enclave.Data.Clear();
        Assert.Equal(s_gp, Report(data + 256, data + 512, data + 1024));
        Assert.Equal(s_gp, Report(data, data + 64, data + 1024));
        Assert.Equal(s_gp, Report(data, data + 512, data + 256));
        Assert.Equal(ExceptionVector.PF, Report(absent, data + 64, data + 256).Fault.Kind);
        Assert.Equal(ExceptionVector.PF, Report(data, absent, data + 256).Fault.Kind);
        Assert.Equal(absent, Report(data, data + 512, absent).Fault.Address);

        LeafResult Key(ulong request, ulong key)
        {
            registers.Rax = (ulong)EncluLeaf.EGETKEY;
            registers.Rbx = request;
            registers.Rcx = key;
            return enclave.Enclu(ref registers);
        }

        LeafResult Report(ulong target, ulong reportData, ulong report)
        {
            registers.Rax = (ulong)EncluLeaf.EREPORT;
            registers.Rbx = target;
            registers.Rcx = reportData;
            registers.Rdx = report;
            return enclave.Enclu(ref registers);
        }
    }

    [Fact]
    public void Success_clears_the_arithmetic_flags_and_rax()
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform());
        RegisterFile registers = enclave.EnterOk();
        registers.Rflags |= Rflags.Arithmetic;
        KeyRequest request = default;
        request.KeyName = KeyName.SEAL_KEY;

        Assert.Equal(LeafResult.Ok, KeyHelper.GetKey(enclave, ref registers, in request, out _));
        Assert.Equal(0UL, registers.Rax);
        Assert.Equal(0x202UL, registers.Rflags);
        Assert.Equal(TestPlatform.Base + TestEnclave.Entry, registers.Rip);
    }

    [Fact]
    public void A_seed_makes_the_same_platform_again()
    {
        PlatformSecrets one = PlatformSecrets.CreateRandom();
        PlatformSecrets again = PlatformSecrets.FromSeed(one.Seed);

        Assert.Equal(one.RootSealKey.ToArray(), again.RootSealKey.ToArray());
        Assert.Equal(one.RootProvisioningKey.ToArray(), again.RootProvisioningKey.ToArray());
        Assert.Equal(one.OwnerEpoch.ToArray(), again.OwnerEpoch.ToArray());
        Assert.Equal(one.ReportKeyId.ToArray(), again.ReportKeyId.ToArray());
        Assert.NotEqual(one.RootSealKey.ToArray(), PlatformSecrets.CreateRandom().RootSealKey.ToArray());
        Assert.NotEqual(one.RootSealKey.ToArray(), one.RootProvisioningKey.ToArray());
    }

    private static void AssertRefused(TestEnclave enclave, in KeyRequest request, SgxError expected)
    {
        RegisterFile registers = enclave.EnterOk();
        registers.Rflags |= Rflags.CF | Rflags.OF;
        enclave.Data[512..528].Fill(0xEE);
        Assert.Equal(LeafResult.FromError(expected), KeyHelper.GetKey(enclave, ref registers, in request, out Key128 key));
        Assert.Equal((ulong)expected, registers.Rax);
        Assert.Equal(0x202UL | Rflags.ZF, registers.Rflags);
        Assert.Equal(new string('e', 32), key.ToString());
        KeyHelper.Leave(enclave, ref registers);
    }

    private static bool Verifies(TestEnclave enclave, Report report)
    {
        KeyRequest request = default;
        request.KeyName = KeyName.REPORT_KEY;
        request.KeyId = report.KeyId;
        Key128 key = KeyHelper.GetKeyOnce(enclave, in request);
        return AesCmac.Compute(key.AsReadOnlySpan(), Bytes.Of(in report.Body)) == report.Mac;
    }
}
