using SoftSgx.Architecture;

namespace SoftSgx.Processor.Tests;

/// <summary>What the configuration does not enumerate is not there, and CPUID says the same.</summary>
public class ProcessorConfigurationTests
{
    private static readonly LeafResult s_gp = LeafResult.FromFault(Fault.GeneralProtection());
    private static readonly LeafResult s_ud = LeafResult.FromFault(Fault.InvalidOpcode());

    public static TheoryData<EnclsLeaf> EnclsLeaves => [.. Enum.GetValues<EnclsLeaf>()];

    [Theory]
    [MemberData(nameof(EnclsLeaves))]
    public void An_encls_leaf_is_there_if_its_feature_is_enumerated(EnclsLeaf leaf)
    {
        LeafFeature feature = LeafTable.Find(LeafKind.ENCLS, (uint)leaf)!.Feature;
        ProcessorConfiguration none = new();
        ProcessorConfiguration all = new() { Sgx2 = true, Oversub = true, EUpdateSvn = true };

        // With operands that are no EPC pages a leaf that is there ends in anything but #GP(0).
        LeafResult there = Execute(all, leaf);
        Assert.NotEqual(s_gp, there);
        Assert.NotEqual(s_ud, there);
        Assert.Equal(feature == LeafFeature.SGX1 ? there : s_gp, Execute(none, leaf));
        Assert.Equal(s_ud, Execute(all with { Sgx1 = false }, leaf));
    }

    [Theory]
    [InlineData(EncluLeaf.EACCEPT, LeafFeature.SGX2)]
    [InlineData(EncluLeaf.EMODPE, LeafFeature.SGX2)]
    [InlineData(EncluLeaf.EACCEPTCOPY, LeafFeature.SGX2)]
    [InlineData(EncluLeaf.EDECCSSA, LeafFeature.EDECCSSA)]
    [InlineData(EncluLeaf.EGETKEY, LeafFeature.SGX1)]
    public void An_enclu_leaf_is_there_if_its_feature_is_enumerated(EncluLeaf leaf, LeafFeature feature)
    {
        ProcessorConfiguration all = new() { Sgx2 = true, EDecCssa = true };
        Assert.Equal(feature == LeafFeature.SGX1, Reaches(new ProcessorConfiguration(), leaf));
        Assert.True(Reaches(all, leaf));
        Assert.Equal(feature != LeafFeature.SGX2, Reaches(all with { Sgx2 = false }, leaf));
        Assert.Equal(feature != LeafFeature.EDECCSSA, Reaches(all with { EDecCssa = false }, leaf));
    }

    [Theory]
    [InlineData(8)]
    [InlineData(10)]
    [InlineData(uint.MaxValue)]
    public void What_the_table_does_not_support_is_a_general_protection_fault(uint leaf)
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform());
        RegisterFile registers = enclave.EnterOk();
        registers.Rax = leaf;
        Assert.Equal(s_gp, enclave.Enclu(ref registers));
    }

    [Theory]
    [InlineData(EnclvLeaf.EDECVIRTCHILD)]
    [InlineData(EnclvLeaf.EINCVIRTCHILD)]
    [InlineData(EnclvLeaf.ESETCONTEXT)]
    public void Enclv_is_no_instruction(EnclvLeaf leaf) => Assert.Equal(s_ud, Enclv.Execute(leaf));

    [Fact]
    public void Cpuid_follows_the_configuration()
    {
        ProcessorConfiguration configuration = new();
        Assert.Equal(0x001u, CpuidLeaf12.Compute(configuration.Features, 0).Eax);
        Assert.Equal(0x003u, CpuidLeaf12.Compute((configuration with { Sgx2 = true }).Features, 0).Eax);
        Assert.Equal(0x041u, CpuidLeaf12.Compute((configuration with { Oversub = true }).Features, 0).Eax);
        Assert.Equal(0x401u, CpuidLeaf12.Compute((configuration with { EUpdateSvn = true }).Features, 0).Eax);
        Assert.Equal(0x801u, CpuidLeaf12.Compute((configuration with { EDecCssa = true }).Features, 0).Eax);
        Assert.Equal(0x0B6u, CpuidLeaf12.Compute(configuration.Features, 1).Eax);
        Assert.Equal(0x4B6u, CpuidLeaf12.Compute((configuration with { AexNotify = true }).Features, 1).Eax);
        Assert.Equal(0x036u, CpuidLeaf12.Compute((configuration with { Kss = false }).Features, 1).Eax);
        Assert.Equal(0x080u, CpuidLeaf12.Compute((configuration with { Attributes = AttributeFlags.CET }).Features, 1).Eax);
        Assert.Equal(0u, CpuidLeaf12.Compute((configuration with { MiscSelect = MiscSelect.None }).Features, 0).Ebx);
    }

    private static LeafResult Execute(ProcessorConfiguration configuration, EnclsLeaf leaf)
    {
        SgxProcessor processor = new TestPlatform(configuration).Processor;
        byte[] page = new byte[4096];
        SecInfo secs = TestPlatform.SecsInfo;
        SecInfo regular = TestPlatform.RegInfo;
        SecInfo trim = SecInfo.For(PageType.PT_TRIM, SecInfoFlags.None);
        Pcmd pcmd = default;
        RdInfo info = default;
        ulong address = 0;
        const int Nowhere = -1;
        return leaf switch
        {
            EnclsLeaf.ECREATE => ECreate.Execute(processor, page, in secs, 0, Nowhere),
            EnclsLeaf.EADD => EAdd.Execute(processor, page, in regular, 0, Nowhere, Nowhere),
            EnclsLeaf.EINIT => EInit.Execute(processor, new LogicalProcessor(), new byte[SigStruct.Size], Nowhere, new byte[EInitToken.Size]),
            EnclsLeaf.EREMOVE => ERemove.Execute(processor, Nowhere),
            EnclsLeaf.EDBGRD => EDbgRd.Execute(processor, Nowhere, 0, out _),
            EnclsLeaf.EDBGWR => EDbgWr.Execute(processor, 0, Nowhere, 0),
            EnclsLeaf.EEXTEND => EExtend.Execute(processor, Nowhere, Nowhere, 0),
            EnclsLeaf.ELDB => ELdb.Execute(processor, page, in pcmd, 0, Nowhere, Nowhere, Nowhere, 0),
            EnclsLeaf.ELDU => ELdu.Execute(processor, page, in pcmd, 0, Nowhere, Nowhere, Nowhere, 0),
            EnclsLeaf.EBLOCK => EBlock.Execute(processor, Nowhere),
            EnclsLeaf.EPA => EPa.Execute(processor, PageType.PT_VA, Nowhere),
            EnclsLeaf.EWB => EWb.Execute(processor, page, ref pcmd, ref address, Nowhere, Nowhere, 0),
            EnclsLeaf.ETRACK => ETrack.Execute(processor, Nowhere),
            EnclsLeaf.EAUG => EAug.Execute(processor, null, 0, Nowhere, Nowhere),
            EnclsLeaf.EMODPR => EModPr.Execute(processor, in regular, Nowhere),
            EnclsLeaf.EMODT => EModT.Execute(processor, in trim, Nowhere),
            EnclsLeaf.ERDINFO => ERdInfo.Execute(processor, ref info, Nowhere),
            EnclsLeaf.ETRACKC => ETrackC.Execute(processor, Nowhere),
            EnclsLeaf.ELDBC => ELdbc.Execute(processor, page, in pcmd, 0, Nowhere, Nowhere, Nowhere, 0),
            EnclsLeaf.ELDUC => ELduc.Execute(processor, page, in pcmd, 0, Nowhere, Nowhere, Nowhere, 0),
            EnclsLeaf.EUPDATESVN => EUpdateSvn.Execute(processor),
            _ => throw new ArgumentOutOfRangeException(nameof(leaf), leaf, "a leaf that this test does not know"),
        };
    }

    /// <summary>True if ENCLU goes on to the leaf: it looks at its operands, or at CSSA.</summary>
    private static bool Reaches(ProcessorConfiguration configuration, EncluLeaf leaf)
    {
        TestEnclave enclave = TestEnclave.Initialized(new TestPlatform(configuration));
        RegisterFile registers = enclave.EnterOk();
        AsynchronousExit.Execute(
            enclave.Platform.Processor, enclave.Logical, ref registers, new byte[XsaveLayout.Intel.MaximumSize], ExitEvent.Interrupt);
        registers = enclave.EnterOk();
        registers.Rax = (ulong)leaf;
        registers.Rbx = registers.Rcx = registers.Rdx = TestPlatform.Base + 0x9000;
        LeafResult result = enclave.Enclu(ref registers);
        return result != s_gp;
    }
}
