using SoftSgx.Host.Platform;
using SoftSgx.Kernel;
using SoftSgx.Processor;

namespace SoftSgx.Host.Tests.Platform;

public sealed class LaunchControlSettingTests
{
    private const string Signer = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

    [Theory]
    [InlineData("writable", "writable", true, true)]
    [InlineData("absent", "absent", false, false)]
    [InlineData("locked", "locked:acb77012053e05a63d413b8bbae8fb6c5d73b3f2996d91c43bbbf90959c0f8d4", true, false)]
    [InlineData($"locked:{Signer}", $"locked:{Signer}", true, false)]
    public void What_users_write(string text, string written, bool hasRegisters, bool isWritable)
    {
        Assert.Null(LaunchControlSetting.Parse(text, out LaunchControlSetting setting));
        Assert.Equal(written, setting.ToString());
        ProcessorConfiguration processor = HostProcessor.Configure(new EpcLayout((64, 0)), sgx1: false, setting);
        Assert.Equal(hasRegisters, processor.SgxLaunchControl);
        Assert.Equal(isWritable, processor.LaunchControlWritable);
        Assert.Equal(isWritable, LaunchControl.WhyNoDevice(processor) is null);
        Assert.Equal(setting.Signer, processor.LePubKeyHash);
    }

    [Theory]
    [InlineData("")]
    [InlineData("Locked")]
    [InlineData("locked:")]
    [InlineData("locked:12")]
    [InlineData($"locked:{Signer}0")]
    [InlineData("locked:zz112233445566778899aabbccddeeff00112233445566778899aabbccddeeff")]
    public void What_is_wrong_is_said(string text) => Assert.NotNull(LaunchControlSetting.Parse(text, out _));
}
