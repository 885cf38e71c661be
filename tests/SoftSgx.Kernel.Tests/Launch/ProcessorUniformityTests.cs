using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Kernel.Tests;

/// <summary>Logical processors that differ from the boot processor.</summary>
public class ProcessorUniformityTests
{
    private static readonly ProcessorConfiguration s_boot = new() { Sgx2 = true, EpcSections = [new EpcSection(0x1000_0000, 0x40_0000)] };

    private static readonly Dictionary<string, (Func<ProcessorConfiguration, ProcessorConfiguration> Change, string Named)> s_differences = new()
    {
        ["SGX2"] = (c => c with { Sgx2 = false }, "CPUID leaf 0x12, sub-leaf 0, EAX: 0x00000001, not 0x00000003"),
        ["MISCSELECT"] = (c => c with { MiscSelect = MiscSelect.None }, "CPUID leaf 0x12, sub-leaf 0, EBX"),
        ["attributes"] = (c => c with { Kss = false }, "CPUID leaf 0x12, sub-leaf 1, EAX"),
        ["XFRM"] = (c => c with { Xfrm = 3 }, "CPUID leaf 0x12, sub-leaf 1, ECX"),
        ["EPC"] = (c => c with { EpcSections = [new EpcSection(0x1000_0000, 0x80_0000)] }, "CPUID leaf 0x12, sub-leaf 2, ECX"),
        ["a section more"] = (c => c with { EpcSections = [.. c.EpcSections, new EpcSection(0x8000_0000, 0x1000)] }, "CPUID leaf 0x12, sub-leaf 3, EAX"),
        ["SGX_LC"] = (c => c with { SgxLaunchControl = false }, "CPUID leaf 7, ECX bit 30 (SGX_LC): 0, not 1"),
        ["feature control"] = (c => c with { FeatureControl = FeatureControl.Lock | FeatureControl.SgxEnable }, "IA32_FEATURE_CONTROL: 0x40001, not 0x60001"),
        ["MXCSR"] = (c => c with { MxcsrMask = 0x2FFFF }, "MXCSR_MASK: 0x2ffff, not 0xffff"),
        ["XSAVE components"] = (c => c with { Xfrm = 7, XsaveLayout = new XsaveLayout([new XsaveComponent(2, 576, 256)]) }, "CPUID leaf 0xd, components: 0x7"),
        ["XSAVE layout"] = (c => c with { XsaveLayout = Moved() }, "CPUID leaf 0xd, sub-leaf 9"),
    };

    public static TheoryData<string> Differences => [.. s_differences.Keys];

    [Theory]
    [MemberData(nameof(Differences))]
    public void A_difference_is_named_and_the_machine_refused(string what)
    {
        ProcessorConfiguration other = s_differences[what].Change(s_boot);
        Assert.Contains(s_differences[what].Named, ProcessorUniformity.Difference(s_boot, other), StringComparison.Ordinal);

        var platform = new ArrayPlatform(8);
        var processor = new SgxProcessor(s_boot, PlatformSecrets.CreateRandom(), 8, platform);
        ArgumentException error = Assert.Throws<ArgumentException>(
            () => new SgxSubsystem(processor, platform, new SubsystemOptions { OtherProcessors = [s_boot, other] }));
        Assert.StartsWith($"logical processor 2 is not as the boot processor: {ProcessorUniformity.Difference(s_boot, other)}", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_launch_control_registers_may_differ()
    {
        Hash256 signer = TestSigner.MrSigner;
        ProcessorConfiguration other = s_boot with { LePubKeyHash = signer, XsaveLayout = new XsaveLayout(Components(XsaveLayout.Intel)) };
        Assert.Null(ProcessorUniformity.Difference(s_boot, other));
        var platform = new ArrayPlatform(8);
        var processor = new SgxProcessor(s_boot, PlatformSecrets.CreateRandom(), 8, platform);
        Assert.True(new SgxSubsystem(processor, platform, new SubsystemOptions { OtherProcessors = [other] }).Device.IsPresent);
    }

    [Theory]
    [InlineData(false, true, "no SGX")]
    [InlineData(true, false, "locked")]
    public void Why_there_is_no_device_is_said(bool sgx1, bool hasLaunchControl, string reason)
    {
        Assert.Null(LaunchControl.WhyNoDevice(s_boot));
        ProcessorConfiguration without = s_boot with { Sgx1 = sgx1, FeatureControl = hasLaunchControl ? s_boot.FeatureControl : FeatureControl.Lock | FeatureControl.SgxEnable };
        Assert.Contains(reason, LaunchControl.WhyNoDevice(without), StringComparison.Ordinal);
        Assert.Contains("SGX_LC", LaunchControl.WhyNoDevice(s_boot with { SgxLaunchControl = false }), StringComparison.Ordinal);
        Assert.Contains("firmware", LaunchControl.WhyNoDevice(s_boot with { FeatureControl = FeatureControl.SgxEnable }), StringComparison.Ordinal);
    }

    private static XsaveLayout Moved() =>
        new(Components(XsaveLayout.Intel).Select(component => component.Index == 9 ? component with { Offset = 2432 } : component));

    private static IEnumerable<XsaveComponent> Components(XsaveLayout layout) =>
        Enumerable.Range(2, 60).Select(index => layout[index]).Where(component => component.Size > 0);
}
