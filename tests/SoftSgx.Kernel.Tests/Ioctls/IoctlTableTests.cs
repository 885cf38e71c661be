using System.Runtime.CompilerServices;
using SoftSgx.Architecture;

namespace SoftSgx.Kernel.Tests;

public class IoctlTableTests
{
    [Theory]
    [InlineData("SGX_IOC_ENCLAVE_CREATE", 0x4008A400u, 8)]
    [InlineData("SGX_IOC_ENCLAVE_ADD_PAGES", 0xC030A401u, 48)]
    [InlineData("SGX_IOC_ENCLAVE_ADD_PAGE", 0x4020A401u, 32)]
    [InlineData("SGX_IOC_ENCLAVE_INIT", 0x4008A402u, 8)]
    [InlineData("SGX_IOC_ENCLAVE_PROVISION", 0x4008A403u, 8)]
    [InlineData("SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS", 0xC028A405u, 40)]
    [InlineData("SGX_IOC_ENCLAVE_MODIFY_TYPES", 0xC028A406u, 40)]
    [InlineData("SGX_IOC_ENCLAVE_REMOVE_PAGES", 0xC018A407u, 24)]
    public void Commands_have_their_numbers_and_sizes(string name, uint command, int size)
    {
        IoctlEntry entry = IoctlTable.Entries.Single(e => e.Name == name);
        Assert.Equal(command, entry.Command);
        Assert.Equal(size, entry.StructSize);
    }

    [Fact]
    public void A_number_encodes_size_and_magic()
        => Assert.All(IoctlTable.Entries, entry =>
        {
            Assert.Equal((uint)entry.StructSize, entry.Command >> 16 & 0x3FFF);
            Assert.Equal(0xA4u, entry.Command >> 8 & 0xFF);
        });

    [Fact]
    public void Structs_have_the_sizes_they_declare()
    {
        Assert.Equal(SgxEnclaveCreate.Size, Unsafe.SizeOf<SgxEnclaveCreate>());
        Assert.Equal(SgxEnclaveAddPages.Size, Unsafe.SizeOf<SgxEnclaveAddPages>());
        Assert.Equal(SgxEnclaveAddPage.Size, Unsafe.SizeOf<SgxEnclaveAddPage>());
        Assert.Equal(SgxEnclaveInit.Size, Unsafe.SizeOf<SgxEnclaveInit>());
        Assert.Equal(SgxEnclaveProvision.Size, Unsafe.SizeOf<SgxEnclaveProvision>());
        Assert.Equal(SgxEnclaveRestrictPermissions.Size, Unsafe.SizeOf<SgxEnclaveRestrictPermissions>());
        Assert.Equal(SgxEnclaveModifyTypes.Size, Unsafe.SizeOf<SgxEnclaveModifyTypes>());
        Assert.Equal(SgxEnclaveRemovePages.Size, Unsafe.SizeOf<SgxEnclaveRemovePages>());
    }

    [Theory]
    [InlineData(0u)]
    [InlineData(0xFFFF_FFFFu)]
    [InlineData(0x4008A404u)] // a number that mainline leaves out for its KVM device
    [InlineData(0x4008A401u)] // ADD_PAGES with another size
    [InlineData(0x8008A400u)] // CREATE with another direction
    [InlineData(0x5401u)] // TCGETS, which isatty() asks
    public void An_unknown_command_is_ENOTTY(uint command)
    {
        var machine = new Machine();
        Assert.Equal(Errno.ENOTTY, machine.Ioctl(machine.Open(), command));
        Assert.Equal(Errno.ENOTTY, machine.Ioctl(machine.Open(DeviceAbi.V22), command));
    }

    [Theory]
    [InlineData(IoctlTable.SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS)]
    [InlineData(IoctlTable.SGX_IOC_ENCLAVE_MODIFY_TYPES)]
    [InlineData(IoctlTable.SGX_IOC_ENCLAVE_REMOVE_PAGES)]
    public void SGX2_functions_are_ENODEV_before_anything_is_looked_at(uint command)
    {
        var machine = new Machine();
        Assert.Equal(Errno.ENODEV, machine.Ioctl(machine.Open(), command, Machine.Unmapped));
    }

    [Fact]
    public void ADD_PAGE_exists_on_the_old_path_only()
    {
        Assert.Null(IoctlTable.Find(IoctlTable.SGX_IOC_ENCLAVE_ADD_PAGE, DeviceAbi.Mainline));
        Assert.NotNull(IoctlTable.Find(IoctlTable.SGX_IOC_ENCLAVE_ADD_PAGE, DeviceAbi.V22));
        Assert.NotNull(IoctlTable.Find(IoctlTable.SGX_IOC_ENCLAVE_ADD_PAGES, DeviceAbi.V22));
    }

    [Fact]
    public void The_device_needs_SGX1_and_writable_launch_control()
    {
        Assert.True(new Machine().Kernel.Device.IsPresent);
        var locked = new Machine(configuration: new() { FeatureControl = FeatureControl.Lock | FeatureControl.SgxEnable });
        Assert.False(locked.Kernel.Device.IsPresent);
        Assert.Throws<InvalidOperationException>(() => locked.Open());
    }
}
