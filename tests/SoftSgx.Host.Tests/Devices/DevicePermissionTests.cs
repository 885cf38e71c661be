using SoftSgx.Host.Devices;

namespace SoftSgx.Host.Tests.Devices;

/// <summary>Who may open a device: what users write, and the kernel's rule.</summary>
public sealed class DevicePermissionTests
{
    private const uint Read = 4, Write = 2, Execute = 1;

    [Theory]
    [InlineData("everyone", 0x1B6u, 0u, 0u)]
    [InlineData("root", 0x180u, 0u, 0u)]
    [InlineData("0660:root:0", 0x1B0u, 0u, 0u)]
    [InlineData("660:1000:2000", 0x1B0u, 1000u, 2000u)]
    [InlineData("0:0:0", 0u, 0u, 0u)]
    [InlineData("0777:0:0", 0x1FFu, 0u, 0u)]
    public void What_users_write(string text, uint mode, uint user, uint group)
    {
        Assert.Null(DevicePermission.Parse(text, out DevicePermission permission));
        Assert.Equal(new DevicePermission(mode, user, group), permission);
        Assert.Null(DevicePermission.Parse(permission.ToString(), out DevicePermission again));
        Assert.Equal(permission, again);
    }

    [Theory]
    [InlineData("", "who may open")]
    [InlineData("nobody", "who may open")]
    [InlineData("0660", "who may open")]
    [InlineData("0660:root:root:root", "who may open")]
    [InlineData("0880:0:0", "no mode")]
    [InlineData("1777:0:0", "no mode")]
    [InlineData("00660:0:0", "no mode")]
    [InlineData(":0:0", "no mode")]
    [InlineData("0660:no such user:0", "no user")]
    [InlineData("0660::0", "no user")]
    [InlineData("0660:0:no such group", "no group")]
    [InlineData("0660:4294967295:0", "no user")]
    [InlineData("0660:0:-1", "no group")]
    public void What_is_wrong_is_said(string text, string reason) =>
        Assert.Contains(reason, DevicePermission.Parse(text, out _), StringComparison.Ordinal);

    [Theory]
    [InlineData(0x1B6u, 5u, 5u, "", false, Read | Write, true)]
    [InlineData(0x1B0u, 5u, 5u, "", false, Read, false)] // others
    [InlineData(0x1B0u, 1u, 5u, "", false, Read | Write, true)] // owner
    [InlineData(0x1B0u, 5u, 2u, "", false, Read | Write, true)] // group
    [InlineData(0x1B0u, 5u, 5u, "7,2", false, Read | Write, true)] // supplementary group
    [InlineData(0x120u, 5u, 2u, "", false, Write, false)] // the group may read
    [InlineData(0x036u, 1u, 2u, "", false, Read, false)] // the first class that fits decides: the owner may nothing
    [InlineData(0x186u, 5u, 2u, "", false, Read, false)] // and the group neither
    [InlineData(0x000u, 5u, 5u, "", true, Read | Write, true)] // CAP_DAC_OVERRIDE
    [InlineData(0x1B6u, 5u, 5u, "", true, Execute, false)]
    [InlineData(0x040u, 5u, 5u, "", true, Execute, true)]
    [InlineData(0x000u, 5u, 5u, "", false, 0u, true)]
    public void The_kernels_rule(uint mode, uint user, uint group, string groups, bool overrides, uint access, bool allowed)
    {
        uint[] supplementary = [.. groups.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(uint.Parse)];
        Credentials who = new(user, group, supplementary, overrides);
        Assert.Equal(allowed, new DevicePermission(mode, 1, 2).Allows(who, access));
    }

    [Theory]
    [InlineData(false, true, 13u, 23u, true)]
    [InlineData(false, false, 13u, 23u, false)] // of another user namespace
    [InlineData(true, true, 10u, 20u, false)] // access(2) of a real user that is not root
    public void Credentials_are_read(bool asReal, bool isOurNamespace, uint user, uint group, bool overrides)
    {
        const string Status = "Name:\tUid: 9\nUid:\t10\t11\t12\t13\nGid:\t20\t21\t22\t23\nGroups:\t4 5 6 \nCapEff:\t0000000000000002\n";
        Credentials who = Credentials.Parse(Status, asReal, isOurNamespace);
        Assert.Equal((user, group, overrides), (who.User, who.Group, who.OverridesPermissions));
        Assert.Equal([4u, 5u, 6u], who.Groups);
        Assert.True(who.IsIn(5));
        Assert.False(who.IsIn(7));
    }

    [Fact]
    public void Who_is_gone_is_nobody() => Assert.Equal(uint.MaxValue, Credentials.Of(int.MaxValue).User);
}
