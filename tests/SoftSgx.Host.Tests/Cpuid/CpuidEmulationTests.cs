using System.Runtime.Intrinsics.X86;
using SoftSgx.Architecture;
using SoftSgx.Host.Cpuid;

namespace SoftSgx.Host.Tests.Cpuid;

public class CpuidEmulationTests
{
    private static readonly SgxFeatures s_sgx = new()
    {
        Sgx2 = true,
        MiscSelect = MiscSelect.EXINFO,
        Attributes = (AttributeFlags)0x36,
        Xfrm = 7,
        MaxEnclaveSizeLog2Not64 = 31,
        MaxEnclaveSizeLog2_64 = 40,
        EpcSections = [new EpcSection(0x1_8020_0000, 0x400_0000)],
    };

    private static readonly CpuidFeatures s_features = new(s_sgx);
    private static readonly CpuidFeatures s_asIntel = new(s_sgx) { GenuineIntel = true };

    private static CpuidResult Vendor(uint maximum, string name) => new(maximum, Word(name, 0), Word(name, 8), Word(name, 4));

    private static uint Word(string text, int at) =>
        (uint)(text[at] | (text[at + 1] << 8) | (text[at + 2] << 16) | (text[at + 3] << 24));

    /// <summary>A processor that answers what it has, and marks every other question as asked in vain.</summary>
    private sealed class FakeProcessor(uint maximum, string vendor)
    {
        public static readonly CpuidResult NotThere = new(0xdead, 0xdead, 0xdead, 0xdead);

        public Dictionary<(uint, uint), CpuidResult> Leaves { get; } = new() { [(0, 0)] = Vendor(maximum, vendor) };

        public CpuidResult Execute(uint leaf, uint subleaf) => Leaves.GetValueOrDefault((leaf, subleaf), NotThere);
    }

    private static FakeProcessor Amd(uint maximum = 0x10)
    {
        FakeProcessor amd = new(maximum, "AuthenticAMD");
        amd.Leaves[(2, 0)] = default;
        amd.Leaves[(4, 0)] = default;
        amd.Leaves[(7, 0)] = new(0, 0x219c95a9, 0x0040069c, 0x10);
        amd.Leaves[(7, 1)] = new(1, 2, 3, 4);
        amd.Leaves[(0xb, 0)] = new(1, 2, 0x100, 0);
        amd.Leaves[(0xd, 1)] = new(0xf, 0x348, 0x1800, 0);
        amd.Leaves[(0x80000000, 0)] = new(0x80000023, 0, 0, 0);
        amd.Leaves[(0x80000001, 0)] = new(0, 0, 1u << 22, 0);
        amd.Leaves[(0x80000008, 0)] = new(0x3030, 0, 0x500f, 0);
        amd.Leaves[(0x8000001d, 0)] = new(0x4121, 0x1c0003f, 63, 0); // level 1 data, 32 KiB, 8 ways, shared by 2
        amd.Leaves[(0x8000001d, 3)] = new(0x3c163, 0x3c0003f, 0x7fff, 2); // level 3, 32 MiB, 16 ways
        amd.Leaves[(0x8000001d, 4)] = default;
        return amd;
    }

    private static CpuidResult Execute(FakeProcessor processor, uint leaf, uint subleaf = 0, CpuidFeatures? features = null) =>
        CpuidEmulation.Execute(leaf, subleaf, features ?? s_features, processor.Execute);

    [Theory]
    [InlineData(0x10, 0x12)]
    [InlineData(0x12, 0x12)]
    [InlineData(0x20, 0x20)]
    public void The_maximum_leaf_reaches_sgx_and_the_vendor_stays(uint native, uint expected) =>
        Assert.Equal(Vendor(expected, "AuthenticAMD"), Execute(Amd(native), 0));

    [Theory]
    [InlineData(true, 0u)]
    [InlineData(true, 1u << 30)]
    [InlineData(false, 0u)]
    [InlineData(false, 1u << 30)]
    public void Launch_control_is_enumerated_where_the_platform_has_it(bool has, uint native)
    {
        FakeProcessor amd = Amd();
        amd.Leaves[(7, 0)] = amd.Leaves[(7, 0)] with { Ecx = 0x0040069c | native };
        uint ecx = CpuidEmulation.Execute(7, 0, new CpuidFeatures(s_sgx) { LaunchControl = has }, amd.Execute).Ecx;
        Assert.Equal(0x0040069c | (has ? 1u << 30 : 0), ecx);
    }

    [Fact]
    public void The_feature_leaf_shows_sgx_and_launch_control()
    {
        Assert.Equal(new CpuidResult(0, 0x219c95ad, 0x4040069c, 0x10), Execute(Amd(), 7));
        Assert.Equal(new CpuidResult(1, 2, 3, 4), Execute(Amd(), 7, 1));
    }

    [Fact]
    public void Leaf_0x12_is_the_platforms()
    {
        for (uint subleaf = 0; subleaf < 5; subleaf++)
        {
            Assert.Equal(CpuidLeaf12.Compute(s_sgx, subleaf), Execute(Amd(), 0x12, subleaf));
        }
        Assert.NotEqual(default, Execute(Amd(), 0x12, 2));
        Assert.Equal(default, Execute(Amd(), 0x12, 3));
    }

    [Fact]
    public void Leaves_that_the_processor_has_are_its_own()
    {
        Assert.Equal(new CpuidResult(1, 2, 0x100, 0), Execute(Amd(), 0xb));
        Assert.Equal(new CpuidResult(0xf, 0x348, 0x1800, 0), Execute(Amd(), 0xd, 1));
        Assert.Equal(new CpuidResult(0x80000023, 0, 0, 0), Execute(Amd(), 0x80000000));
        Assert.Equal(FakeProcessor.NotThere, Execute(Amd(), 0x40000000));
    }

    [Fact]
    public void Leaves_between_the_native_maximum_and_sgx_are_zero()
    {
        Assert.Equal(default, Execute(Amd(), 0x11));
        Assert.Equal(default, Execute(Amd(0xb), 0xd, 1));
        FakeProcessor intel = new(0x10, "GenuineIntel");
        Assert.Equal(default, Execute(intel, 0x11));
    }

    [Fact]
    public void A_processor_without_leaf_7_still_shows_sgx() =>
        Assert.Equal(new CpuidResult(0, 4, 1u << 30, 0), Execute(new FakeProcessor(5, "AuthenticAMD"), 7));

    [Fact]
    public void Beyond_the_maximum_intel_repeats_the_highest_leaf_and_amd_decides_itself()
    {
        Assert.Equal(CpuidLeaf12.Compute(s_sgx, 1), Execute(new FakeProcessor(0xd, "GenuineIntel"), 0x1f, 1));
        Assert.Equal(FakeProcessor.NotThere, Execute(Amd(), 0x1f));
    }

    [Fact]
    public void Without_the_vendor_override_cache_leaves_are_native()
    {
        Assert.Equal(default, Execute(Amd(), 2));
        Assert.Equal(default, Execute(Amd(), 4));
    }

    [Fact]
    public void As_intel_the_vendor_and_the_cache_leaves_are_intels()
    {
        FakeProcessor amd = Amd();
        Assert.Equal(Vendor(0x12, "GenuineIntel"), Execute(amd, 0, 0, s_asIntel));
        Assert.Equal(new CpuidResult(0xff01, 0xf0, 0, 0), Execute(amd, 2, 0, s_asIntel));
        // 16 logical processors (15 in EAX[31:26]); sizes as AMD says.
        Assert.Equal(new CpuidResult(0x3c004121, 0x1c0003f, 63, 0), Execute(amd, 4, 0, s_asIntel));
        Assert.Equal(new CpuidResult(0x3c03c163, 0x3c0003f, 0x7fff, 2), Execute(amd, 4, 3, s_asIntel));
        Assert.Equal(default, Execute(amd, 4, 4, s_asIntel));
    }

    [Fact]
    public void As_intel_without_amds_cache_leaf_the_native_answer_stays()
    {
        FakeProcessor amd = Amd();
        amd.Leaves[(0x80000001, 0)] = default;
        Assert.Equal(default, Execute(amd, 2, 0, s_asIntel));
        amd.Leaves[(0x80000000, 0)] = new(0x80000008, 0, 0, 0);
        Assert.Equal(default, Execute(amd, 4, 0, s_asIntel));
    }

    [Fact]
    public void As_intel_on_intel_nothing_is_translated()
    {
        FakeProcessor intel = new(0x1f, "GenuineIntel");
        intel.Leaves[(2, 0)] = new(0x00feff01, 0xf0, 0, 0);
        intel.Leaves[(4, 0)] = new(1, 2, 3, 4);
        Assert.Equal(new CpuidResult(0x00feff01, 0xf0, 0, 0), Execute(intel, 2, 0, s_asIntel));
        Assert.Equal(new CpuidResult(1, 2, 3, 4), Execute(intel, 4, 0, s_asIntel));
    }

    [Fact]
    public void On_this_machine_only_sgx_is_added()
    {
        (int Eax, int Ebx, int Ecx, int Edx) native = X86Base.CpuId(0, 0);
        CpuidResult vendor = CpuidEmulation.Execute(0, 0, s_features);
        Assert.Equal(((uint)native.Ebx, (uint)native.Ecx, (uint)native.Edx), (vendor.Ebx, vendor.Ecx, vendor.Edx));
        Assert.Equal(Math.Max((uint)native.Eax, 0x12), vendor.Eax);
        native = X86Base.CpuId(7, 0);
        Assert.Equal((uint)native.Ebx | 4, CpuidEmulation.Execute(7, 0, s_features).Ebx);
        native = X86Base.CpuId(unchecked((int)0x80000000), 0);
        Assert.Equal((uint)native.Eax, CpuidEmulation.Execute(0x80000000, 0, s_features).Eax);
    }
}
