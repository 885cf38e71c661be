using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Kernel.Tests;

public class ReleaseTests
{
    [Fact]
    public void Release_gives_everything_back_and_may_be_repeated()
    {
        var machine = new Machine();
        Enclave enclave = TestEnclave.BuildInitialized(machine);
        Assert.Equal(TestEnclave.Pages + 2, machine.Pool.Used);
        enclave.Release();
        Assert.True(enclave.IsDead);
        Assert.Equal(-1, enclave.SecsPage);
        Assert.False(enclave.TryFindPage(Machine.EnclaveBase, out _));
        machine.AssertNothingLeaked();
        enclave.Release();
        Assert.Equal(1, machine.LastInode!.DisposeCount);
        machine.AssertNothingLeaked();
    }

    [Fact]
    public void An_opener_that_never_created_is_released_too()
    {
        var machine = new Machine();
        machine.Open().Release();
        Assert.Equal(1, machine.LastInode!.DisposeCount);
        machine.AssertNothingLeaked();
    }

    [Fact]
    public void Children_go_first_then_the_SECS_then_version_arrays()
    {
        var machine = new Machine();
        Enclave enclave = TestEnclave.BuildInitialized(machine);
        int before = machine.Encls.Calls.GetValueOrDefault(EnclsLeaf.EREMOVE);
        machine.Encls.Script = (leaf, n) =>
        {
            Assert.Equal(EnclsLeaf.EREMOVE, leaf);
            Assert.Equal(Math.Max(0, TestEnclave.Pages - (n - before)), enclave.PageCount);
            return null; // the processor refuses a SECS that still has children
        };
        enclave.Release();
        Assert.Equal(TestEnclave.Pages + 2, machine.Encls.Calls[EnclsLeaf.EREMOVE] - before); // the version array last
        machine.AssertNothingLeaked();
    }

    [Fact]
    public void Pages_that_a_thread_still_uses_stay_until_the_next_release()
    {
        var machine = new Machine();
        Enclave enclave = TestEnclave.BuildInitialized(machine);
        machine.Encls.Fail(EnclsLeaf.EREMOVE, LeafResult.FromError(SgxError.SGX_ENCLAVE_ACT), from: 2);
        enclave.Release();
        Assert.True(enclave.IsDead);
        Assert.Equal(TestEnclave.Pages - 2, enclave.PageCount);
        Assert.Equal(TestEnclave.Pages - 2 + 2, machine.Pool.Used); // with SECS and version array
        Assert.Equal(0, machine.LastInode!.DisposeCount);

        machine.Encls.Script = (_, _) => null;
        enclave.Release();
        Assert.Equal(1, machine.LastInode.DisposeCount);
        machine.AssertNothingLeaked();
    }

    [Fact]
    public void A_released_enclave_answers_no_ioctl()
    {
        var machine = new Machine();
        Enclave enclave = machine.OpenCreated();
        enclave.Release();
        foreach (IoctlEntry entry in IoctlTable.Entries)
        {
            Assert.Equal(Errno.EBADF, machine.Ioctl(enclave, entry.Command));
        }

        machine.AssertNothingLeaked();
    }

    [Fact]
    public void Two_enclaves_at_the_same_addresses_do_not_meet()
    {
        var machine = new Machine();
        Enclave first = machine.OpenCreated();
        Enclave second = machine.OpenCreated();
        Assert.Equal(Errno.None, machine.AddPages(first, Machine.Pages()));
        Assert.False(second.TryFindPage(Machine.EnclaveBase, out _));
        Assert.Equal(Errno.None, machine.AddPages(second, Machine.Pages()));
        Assert.NotEqual(first.EpcPageAt(Machine.EnclaveBase), second.EpcPageAt(Machine.EnclaveBase));
        first.Release();
        Assert.True(second.TryFindPage(Machine.EnclaveBase, out _));
        second.Release();
        machine.AssertNothingLeaked();
    }
}
