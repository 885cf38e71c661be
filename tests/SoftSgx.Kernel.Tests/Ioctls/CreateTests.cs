using SoftSgx.Architecture;

namespace SoftSgx.Kernel.Tests;

public class CreateTests
{
    // In Linux's order of checks. Each breaks one thing and leaves the others alone.
    private static readonly (string Name, Errno Errno, Action<Call> Break)[] s_checks =
    [
        ("already created", Errno.EINVAL, c => c.Created = true),
        ("argument unreadable", Errno.EFAULT, c => c.Argument = Machine.Unmapped),
        ("SECS unreadable", Errno.EFAULT, c => c.Src = Machine.Unmapped),
        ("size no power of two", Errno.EINVAL, c => c.Secs.EnclaveSize = 0x3000),
        ("no EPC page", Errno.ENOMEM, c => c.FreePages = 0),
        ("no EPC page for the SECS", Errno.ENOMEM, c => c.FreePages = Math.Min(c.FreePages, 1)),
        ("ECREATE faults", Errno.EIO, c => c.Secs.BaseAddress += 4096),
        ("the inode refuses the size", Errno.ENOMEM, c => c.RefuseSize = true),
    ];

    public static TheoryData<int> Checks => [.. Enumerable.Range(0, s_checks.Length)];

    [Fact]
    public void An_enclave_is_created()
    {
        var machine = new Machine();
        Enclave enclave = machine.Open();
        Assert.False(enclave.IsCreated);
        Assert.Equal(-1, enclave.SecsPage);
        Assert.Null(machine.LastInode!.Size);

        Assert.Equal(Errno.None, machine.Create(enclave, Machine.Secs()));

        Assert.True(enclave.IsCreated);
        Assert.False(enclave.IsInitialized);
        Assert.Equal((Machine.EnclaveBase, Machine.EnclaveSize), (enclave.Base, enclave.Size));
        Assert.Equal(Machine.EnclaveSize, machine.LastInode.Size);
        Assert.Equal(1, machine.Pool.CountOf(PageType.PT_SECS));
        Assert.Equal(1, machine.Pool.CountOf(PageType.PT_VA));
        Assert.Equal(2, machine.Pool.Used);
        Assert.Equal(PageType.PT_SECS, machine.Processor.Epcm.TypeOf(enclave.SecsPage));
        Assert.Equal(Machine.EnclaveSize, machine.Processor.SecsOf(enclave.SecsPage).EnclaveSize);

        enclave.Release();
        machine.AssertNothingLeaked();
    }

    [Theory]
    [MemberData(nameof(Checks))]
    public void Every_check_has_its_errno_and_leaves_nothing_behind(int check)
    {
        Call call = new();
        s_checks[check].Break(call);
        AssertFails(call, s_checks[check].Errno, s_checks[check].Name);
    }

    [Theory]
    [MemberData(nameof(Checks))]
    public void The_first_check_wins(int first)
    {
        Call call = new();
        for (int check = first; check < s_checks.Length; check++)
        {
            s_checks[check].Break(call);
        }

        AssertFails(call, s_checks[first].Errno, s_checks[first].Name);
    }

    [Theory]
    [InlineData(0UL, Errno.EINVAL)] // zero is no power of two
    [InlineData(1UL, Errno.EIO)]
    [InlineData(0x1000UL, Errno.EIO)] // ECREATE wants two pages
    [InlineData(0x2000UL, Errno.None)]
    [InlineData(1UL << 40, Errno.None)] // what programs reserve that add pages while they run
    [InlineData(1UL << 43, Errno.None)] // the largest below what CPUID enumerates
    [InlineData(1UL << 44, Errno.EIO)]
    [InlineData(1UL << 57, Errno.EIO)]
    [InlineData(1UL << 62, Errno.EIO)]
    [InlineData(1UL << 63, Errno.EINVAL)] // no file is that large
    [InlineData(ulong.MaxValue, Errno.EINVAL)]
    public void Sizes(ulong size, Errno errno)
    {
        var machine = new Machine();
        Enclave enclave = machine.Open();
        Assert.Equal(errno, machine.Create(enclave, Machine.Secs(size, 0)));
        enclave.Release();
        machine.AssertNothingLeaked();
    }

    [Fact]
    public void The_largest_enclave_costs_nothing()
    {
        var machine = new Machine();
        Enclave enclave = machine.Open();
        Secs secs = Machine.Secs(1UL << 40, 0);
        Assert.Equal(Errno.None, machine.Create(machine.Open(), in secs)); // everything is compiled by now
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Equal(Errno.None, machine.Create(enclave, in secs));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 65536);
        Assert.Equal(Errno.None, machine.AddPages(enclave, (1UL << 40) - 4096, 1, in Machine.RegRw));
        Assert.Equal(Errno.EINVAL, machine.AddPages(enclave, 1UL << 40, 1, in Machine.RegRw));
    }

    [Fact]
    public void Base_zero_is_valid()
    {
        var machine = new Machine();
        Enclave enclave = machine.Open();
        Assert.Equal(Errno.None, machine.Create(enclave, Machine.Secs(@base: 0)));
        Assert.True(enclave.IsCreated);
        Assert.Equal(Errno.None, machine.AddPages(enclave, 0x1_0000, 1, in Machine.RegRw));
        Assert.True(enclave.TryFindPage(0x1_0000, out _));
    }

    [Fact]
    public void The_SECS_is_copied_before_it_is_checked()
    {
        var machine = new Machine();
        Enclave enclave = machine.Open();
        int reads = 0;
        machine.Memory.OnAccess = address => reads += address == Machine.SecsAddress ? 1 : 0;
        Assert.Equal(Errno.None, machine.Create(enclave, Machine.Secs()));
        Assert.Equal(1, reads);
    }

    [Fact]
    public void A_failed_creation_can_be_repeated()
    {
        var machine = new Machine();
        Enclave enclave = machine.Open();
        machine.LeaveFree(1);
        Assert.Equal(Errno.ENOMEM, machine.Create(enclave, Machine.Secs()));
        machine.FreeAll();
        Assert.Equal(Errno.EIO, machine.Create(enclave, Machine.Secs(@base: 0x1000)));
        Assert.Equal(Errno.None, machine.Create(enclave, Machine.Secs()));
        Assert.Equal(Errno.EINVAL, machine.Create(enclave, Machine.Secs()));
        enclave.Release();
        machine.AssertNothingLeaked();
    }

    private static void AssertFails(Call call, Errno errno, string name)
    {
        var machine = new Machine();
        Enclave enclave = machine.Open();
        if (call.Created)
        {
            Assert.Equal(Errno.None, machine.Create(enclave, Machine.Secs()));
        }

        machine.LastInode!.RefusesSize = call.RefuseSize;
        machine.LeaveFree(call.FreePages);
        int used = machine.Pool.Used;
        int frames = machine.Platform.FrameCount;
        machine.Memory.Write(Machine.SecsAddress, in call.Secs);
        machine.Memory.Write(Machine.ArgumentAddress, new SgxEnclaveCreate { Src = call.Src });

        Errno actual = machine.Ioctl(enclave, IoctlTable.SGX_IOC_ENCLAVE_CREATE, call.Argument);

        Assert.True(errno == actual, $"{name}: {actual} instead of {errno}");
        Assert.Equal((used, frames), (machine.Pool.Used, machine.Platform.FrameCount));
        Assert.Equal(call.Created, enclave.IsCreated);
        enclave.Release();
        machine.AssertNothingLeaked();
    }

    private sealed class Call
    {
        public Secs Secs = Machine.Secs();

        public bool Created { get; set; }

        public ulong Argument { get; set; } = Machine.ArgumentAddress;

        public ulong Src { get; set; } = Machine.SecsAddress;

        public int FreePages { get; set; } = 16;

        public bool RefuseSize { get; set; }
    }
}
