using SoftSgx.Kernel;

namespace SoftSgx.Simulation.Tests;

public class SmokeTests
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void An_enclave_is_built_and_released(bool withContents)
    {
        using var machine = new SimulatedMachine(new SimulatedMachineOptions { EpcPages = 64, WithContents = withContents });
        SimulatedEnclave enclave = machine.CreateEnclave(1 << 20);
        Assert.Equal(Errno.None, enclave.AddPages(0, 10));
        Assert.Equal(Errno.None, enclave.AddThread(10));
        Assert.Equal(Errno.None, enclave.Initialize());
        enclave.Release();
        Assert.Equal(64, machine.Kernel.Pool.Free);
        Assert.Equal(0, machine.Epc.FrameCount);
    }
}
