using SoftSgx.Architecture;

namespace SoftSgx.Kernel.Tests;

public class ProvisionTests
{
    [Fact]
    public void The_provisioning_device_allows_the_attribute()
    {
        var machine = new Machine();
        (Enclave enclave, SigStruct sigStruct) = TestEnclave.Build(machine, extra: AttributeFlags.PROVISIONKEY);
        Assert.Equal(Errno.EACCES, machine.Init(enclave, in sigStruct));
        Assert.Equal(Errno.None, machine.Provision(enclave, SimulatedFiles.ProvisionFd));
        Assert.Equal(Errno.None, machine.Init(enclave, in sigStruct));
    }

    [Theory]
    [InlineData(0UL, Errno.EINVAL)]
    [InlineData(8UL, Errno.EINVAL)]
    [InlineData(ulong.MaxValue, Errno.EINVAL)] // −1
    [InlineData(0x8000_0000UL, Errno.EINVAL)]
    [InlineData((ulong)SimulatedFiles.ProvisionFd, Errno.None)]
    [InlineData(0xFFFFFFFF_00000000UL | SimulatedFiles.ProvisionFd, Errno.None)] // only 32 bits count
    public void Descriptors(ulong fd, Errno errno)
    {
        var machine = new Machine();
        Enclave enclave = machine.OpenCreated();
        Assert.Equal(errno, machine.Provision(enclave, fd));
        Assert.Equal([unchecked((int)fd)], machine.Files.Asked);
        Assert.Equal(errno == Errno.None, (enclave.AllowedAttributes & AttributeFlags.PROVISIONKEY) != 0);
    }

    [Fact]
    public void An_unreadable_argument_is_EFAULT()
    {
        var machine = new Machine();
        Assert.Equal(Errno.EFAULT, machine.Ioctl(machine.Open(), IoctlTable.SGX_IOC_ENCLAVE_PROVISION, Machine.Unmapped));
        Assert.Empty(machine.Files.Asked);
    }

    [Fact]
    public void Create_forgets_what_came_before_it()
    {
        var machine = new Machine();
        Enclave enclave = machine.Open();
        Assert.Equal(Errno.None, machine.Provision(enclave, SimulatedFiles.ProvisionFd));
        Assert.Equal(Errno.None, machine.Create(enclave, Machine.Secs(extra: AttributeFlags.PROVISIONKEY)));
        Assert.Equal(AttributeFlags.None, enclave.AllowedAttributes & AttributeFlags.PROVISIONKEY);
    }

    [Fact]
    public void Any_state_will_do()
    {
        var machine = new Machine();
        Enclave enclave = TestEnclave.BuildInitialized(machine);
        Assert.Equal(Errno.None, machine.Provision(enclave, SimulatedFiles.ProvisionFd));
    }

    [Fact]
    public void The_launch_key_is_never_allowed()
    {
        var machine = new Machine();
        (Enclave enclave, SigStruct sigStruct) = TestEnclave.Build(machine, extra: AttributeFlags.EINITTOKEN_KEY);
        Assert.Equal(Errno.None, machine.Provision(enclave, SimulatedFiles.ProvisionFd));
        Assert.Equal(Errno.EACCES, machine.Init(enclave, in sigStruct));
    }

    [Fact]
    public void Debug_and_key_separation_need_no_permission()
    {
        AttributeFlags[] free = [AttributeFlags.KSS, AttributeFlags.DEBUG, AttributeFlags.DEBUG | AttributeFlags.KSS];
        foreach (AttributeFlags extra in free)
        {
            var machine = new Machine();
            (Enclave enclave, SigStruct sigStruct) = TestEnclave.Build(machine, extra: extra);
            Assert.Equal(Errno.None, machine.Init(enclave, in sigStruct));
        }
    }
}
