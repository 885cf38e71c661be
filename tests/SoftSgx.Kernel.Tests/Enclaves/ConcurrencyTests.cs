using SoftSgx.Processor;

namespace SoftSgx.Kernel.Tests;

public class ConcurrencyTests
{
    [Theory]
    [InlineData(IoctlTable.SGX_IOC_ENCLAVE_CREATE)]
    [InlineData(IoctlTable.SGX_IOC_ENCLAVE_ADD_PAGES)]
    [InlineData(IoctlTable.SGX_IOC_ENCLAVE_INIT)]
    [InlineData(IoctlTable.SGX_IOC_ENCLAVE_PROVISION)]
    [InlineData(IoctlTable.SGX_IOC_ENCLAVE_REMOVE_PAGES)]
    [InlineData(0x1234u)]
    public void A_second_ioctl_at_the_same_time_is_EBUSY(uint command)
    {
        var machine = new Machine();
        Enclave enclave = machine.Open();
        Enclave other = machine.Open();
        Errno? during = null;
        Errno? elsewhere = null;
        machine.Memory.OnAccess = _ =>
        {
            machine.Memory.OnAccess = null;
            during = machine.Ioctl(enclave, command);
            elsewhere = machine.Ioctl(other, 0x1234);
        };
        Assert.Equal(Errno.None, machine.Create(enclave, Machine.Secs()));
        Assert.Equal(Errno.EBUSY, during);
        Assert.Equal(Errno.ENOTTY, elsewhere); // another opener is not concerned
        Assert.NotEqual(Errno.EBUSY, machine.Ioctl(enclave, command));
    }

    [Fact]
    public void An_ioctl_that_throws_leaves_the_opener_usable()
    {
        var machine = new Machine();
        Enclave enclave = machine.Open();
        machine.Memory.OnAccess = _ => throw new InvalidOperationException("the host broke");
        Assert.Throws<InvalidOperationException>(() => machine.Create(enclave, Machine.Secs()));
        machine.Memory.OnAccess = null;
        Assert.Equal(Errno.None, machine.Create(enclave, Machine.Secs()));
    }

    [Fact]
    public void Sources_are_read_without_the_enclaves_lock()
    {
        var machine = new Machine();
        Enclave enclave = machine.OpenCreated();
        bool answered = true;
        machine.Memory.OnAccess = _ => answered &= Task.Run(() => enclave.TryFindPage(Machine.EnclaveBase, out EnclavePage _))
            .Wait(TimeSpan.FromSeconds(30));
        Assert.Equal(Errno.None, machine.AddPages(enclave, Machine.Pages(0, 4)));
        Assert.True(answered);
    }

    [Fact]
    public async Task Enclaves_are_built_and_released_side_by_side()
    {
        var machine = new Machine(epcPages: 96);
        await Task.WhenAll(Enumerable.Range(0, 4).Select(worker => Task.Run(() =>
        {
            var memory = new SimulatedMemory();
            memory.Map(Machine.ArgumentAddress, 4096);
            memory.Map(Machine.SecsAddress, 4096);
            memory.Map(Machine.SecInfoAddress, 4096);
            memory.Map(Machine.SourceAddress, 32 * 4096);
            memory.Write(Machine.SecInfoAddress, in Machine.RegRw);
            memory.Write(Machine.SecsAddress, Machine.Secs());
            var lp = new LogicalProcessor();
            for (int round = 0; round < 50; round++)
            {
                Enclave enclave = machine.Kernel.Device.Open(new NoInode(machine.Platform), DeviceAbi.Mainline);
                memory.Write(Machine.ArgumentAddress, new SgxEnclaveCreate { Src = Machine.SecsAddress });
                Errno errno = Ioctl(IoctlTable.SGX_IOC_ENCLAVE_CREATE);
                Assert.True(errno is Errno.None or Errno.ENOMEM);
                if (errno == Errno.None)
                {
                    memory.Write(Machine.ArgumentAddress, Machine.Pages(0, 32, measure: false));
                    Assert.True(Ioctl(IoctlTable.SGX_IOC_ENCLAVE_ADD_PAGES) is Errno.None or Errno.ENOMEM);
                    Assert.Equal(memory.Read<SgxEnclaveAddPages>(Machine.ArgumentAddress).Count, (ulong)enclave.PageCount * 4096);
                }

                enclave.Release();

                Errno Ioctl(uint command) => enclave.Ioctl(command, Machine.ArgumentAddress, memory, machine.Files, lp);
            }
        })));
        Assert.Equal(machine.Pool.Total, machine.Pool.Free);
        Assert.All(Enumerable.Range(0, machine.Pool.Total), page => Assert.False(machine.Processor.Epcm.IsValid(page)));
    }

    [Fact]
    public async Task A_release_waits_for_the_ioctl_in_progress()
    {
        var machine = new Machine();
        Enclave enclave = machine.OpenCreated();
        Task release = Task.CompletedTask;
        int reads = 0;
        machine.Memory.OnAccess = address =>
        {
            if (address >= Machine.SourceAddress && ++reads == 3)
            {
                release = Task.Run(enclave.Release);
                Assert.True(SpinWait.SpinUntil(() => enclave.IsDead, TimeSpan.FromSeconds(30)));
            }
        };
        Assert.Equal(Errno.EBADF, machine.AddPages(enclave, Machine.Pages(0, 8)));
        await release;
        Assert.Equal(2 * 4096UL, machine.AddedBytes);
        machine.AssertNothingLeaked();
    }

    /// <summary>An inode for many threads: it only passes frames on.</summary>
    private sealed class NoInode(ArrayPlatform platform) : IEnclaveInode
    {
        public bool TrySetSize(ulong bytes) => true;

        public void InsertPage(int epcPage, ulong offset) => platform.Attach(epcPage);

        public void RemovePage(int epcPage, ulong offset) => platform.Detach(epcPage);

        public void Freeze(int epcPage, ulong offset)
        {
        }

        public void Thaw(int epcPage, ulong offset)
        {
        }

        public void Stage(int epcPage) => platform.Attach(epcPage);

        public void Publish(int epcPage, ulong offset, IEnclaveAddressSpace? faulting)
        {
        }

        public void Unstage(int epcPage) => platform.Detach(epcPage);

        public void Dispose()
        {
        }
    }
}
