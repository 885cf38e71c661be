using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Kernel.Tests;

/// <summary>What the interface of 2019 does differently.</summary>
public class V22Tests
{
    [Fact]
    public void The_kernel_validates_the_SECS_by_itself()
    {
        var bad = new Dictionary<string, Secs>
        {
            ["base"] = Machine.Secs(@base: Machine.EnclaveBase + 4096),
            ["one page"] = Machine.Secs(4096),
            ["too large"] = Machine.Secs(1UL << 41, 0),
            ["too large outside 64-bit mode"] = With((ref Secs s) =>
                (s.EnclaveSize, s.BaseAddress, s.Attributes.Flags) = (1UL << 32, 0, 0)),
            ["reserved attribute"] = With((ref Secs s) => s.Attributes.Flags |= (AttributeFlags)8),
            ["INIT"] = With((ref Secs s) => s.Attributes.Flags |= AttributeFlags.INIT),
            ["MISCSELECT"] = With((ref Secs s) => s.MiscSelect = MiscSelect.CPINFO),
            ["XFRM without SSE"] = With((ref Secs s) => s.Attributes.Xfrm = 1),
            ["XFRM unsupported"] = With((ref Secs s) => s.Attributes.Xfrm |= 1UL << 40),
            ["no SSA frame"] = With((ref Secs s) => s.SsaFrameSize = 0),
            ["reserved byte"] = With((ref Secs s) => Bytes.Writable(ref s)[4095] = 1),
        };
        foreach ((string name, Secs secs) in bad)
        {
            var machine = new Machine();
            Assert.True(machine.Create(machine.Open(DeviceAbi.V22), in secs) == Errno.EINVAL, name);
            Assert.False(machine.Encls.Calls.ContainsKey(EnclsLeaf.ECREATE));
            machine.AssertNothingLeaked();

            // Mainline leaves them to ECREATE, which knows the same rules.
            var mainline = new Machine();
            Errno errno = mainline.Create(mainline.Open(), in secs);
            Assert.True(errno == Errno.EIO, $"{name}: {errno}");
        }
    }

    [Fact]
    public void EINITs_error_code_is_returned_as_it_is()
    {
        var machine = new Machine();
        (Enclave enclave, SigStruct sigStruct) = TestEnclave.Build(machine, DeviceAbi.V22);
        machine.Encls.Fail(EnclsLeaf.EINIT, LeafResult.FromError(SgxError.SGX_INVALID_EINITTOKEN));
        Errno errno = machine.Init(enclave, in sigStruct);
        Assert.Equal(16L, -(long)errno);
        machine.Encls.Script = (_, _) => null;
        Assert.Equal(Errno.None, machine.Init(enclave, in sigStruct));
        Assert.Equal(Errno.EFAULT, machine.Init(enclave, in sigStruct)); // twice
    }

    [Fact]
    public void An_attribute_may_be_allowed_before_or_after_CREATE()
    {
        foreach (bool before in new[] { false, true })
        {
            var machine = new Machine();
            Enclave enclave = machine.Open(DeviceAbi.V22);
            if (before)
            {
                Assert.Equal(Errno.None, machine.Provision(enclave, SimulatedFiles.ProvisionFd));
            }

            Assert.Equal(Errno.None, machine.Create(enclave, Machine.Secs(extra: AttributeFlags.PROVISIONKEY)));
            SigStruct sigStruct = TestEnclave.Signed(new Measurement(1, Machine.EnclaveSize).Value, AttributeFlags.PROVISIONKEY);
            if (!before)
            {
                Assert.Equal(Errno.EINVAL, machine.Init(enclave, in sigStruct));
                Assert.Equal(Errno.None, machine.Provision(enclave, SimulatedFiles.ProvisionFd));
            }

            Assert.Equal(Errno.None, machine.Init(enclave, in sigStruct));
        }
    }

    [Fact]
    public void ADD_PAGE_measures_by_its_mask()
    {
        var machine = new Machine();
        Enclave enclave = machine.OpenCreated(DeviceAbi.V22);
        var measurement = new Measurement(1, Machine.EnclaveSize);
        ulong offset = 0;
        foreach (ushort mask in new ushort[] { 0xFFFF, 0, 1, 0x8001, 0x5A5A })
        {
            Assert.Equal(Errno.None, AddPage(machine, enclave, offset, mask));
            measurement.AddPage(offset, in Machine.RegRw, machine.Source.Data.AsSpan(0, 4096), mask);
            offset += 4096;
        }

        SigStruct sigStruct = TestEnclave.Signed(measurement.Value);
        Assert.Equal(Errno.None, machine.Init(enclave, in sigStruct));
        Assert.Equal(Errno.EINVAL, AddPage(machine, enclave, offset, 0));
        enclave.Release();
        machine.AssertNothingLeaked();
    }

    [Fact]
    public void ADD_PAGE_errors()
    {
        var machine = new Machine();
        Assert.Equal(Errno.EINVAL, AddPage(machine, machine.Open(DeviceAbi.V22), 0, 0));
        Enclave enclave = machine.OpenCreated(DeviceAbi.V22);
        Assert.Equal(Errno.EFAULT, machine.Ioctl(enclave, IoctlTable.SGX_IOC_ENCLAVE_ADD_PAGE, Machine.Unmapped));
        Assert.Equal(Errno.EINVAL, AddPage(machine, enclave, 1, 0));
        Assert.Equal(Errno.EINVAL, AddPage(machine, enclave, Machine.EnclaveSize, 0));
        Assert.Equal(Errno.EINVAL, AddPage(machine, enclave, unchecked(0UL - 4096), 0));
        Assert.Equal(Errno.None, AddPage(machine, enclave, 0, 0));
        Assert.Equal(Errno.EBUSY, AddPage(machine, enclave, 0, 0));

        machine.Encls.Fail(EnclsLeaf.EADD, ScriptedEncls.Fault);
        Assert.Equal(Errno.EFAULT, AddPage(machine, enclave, 0x1000, 0));
        Assert.False(enclave.IsDead);
        Assert.Equal(1, enclave.PageCount);

        machine.Encls.Script = (_, _) => null;
        machine.Encls.Fail(EnclsLeaf.EEXTEND, ScriptedEncls.Fault);
        Assert.Equal(Errno.EFAULT, AddPage(machine, enclave, 0x1000, 1));
        Assert.True(enclave.IsDead); // its measurement is beyond repair
        machine.AssertNothingLeaked();
        Assert.Equal(Errno.EFAULT, AddPage(machine, enclave, 0x1000, 1));
        Assert.Equal(0, machine.LastInode!.DisposeCount);
        enclave.Release();
        Assert.Equal(1, machine.LastInode.DisposeCount);
    }

    [Fact]
    public void Absent_pages_cannot_be_mapped_but_without_access()
    {
        var machine = new Machine();
        Enclave enclave = machine.OpenCreated(DeviceAbi.V22);
        ulong start = Machine.EnclaveBase;
        Assert.Equal(Errno.None, enclave.MayMap(start, start + 0x3000, PageProtection.Read)); // may still be mainline
        Assert.Equal(Errno.None, AddPage(machine, enclave, 0, 0));
        Assert.Equal(Errno.None, AddPage(machine, enclave, 0x1000, 0));
        Assert.Equal(Errno.None, enclave.MayMap(start, start + 0x2000, PageProtection.Read));
        Assert.Equal(Errno.EACCES, enclave.MayMap(start, start + 0x3000, PageProtection.Read));
        Assert.Equal(Errno.EACCES, enclave.MayMap(start + 0x2000, start + 0x3000, PageProtection.Read));
        Assert.Equal(Errno.EACCES, enclave.MayMap(start - 0x1000, start + 0x1000, PageProtection.Read));
        Assert.Equal(Errno.EACCES, enclave.MayMap(start, start + 0x1000, PageProtection.Execute));
        Assert.Equal(Errno.None, enclave.MayMap(start, start + Machine.EnclaveSize, PageProtection.None));
    }

    private delegate void Change(ref Secs secs);

    private static Secs With(Change change)
    {
        Secs secs = Machine.Secs();
        change(ref secs);
        return secs;
    }

    private static Errno AddPage(Machine machine, Enclave enclave, ulong offset, ushort mask)
    {
        machine.Memory.Write(Machine.SecInfoAddress, in Machine.RegRw);
        machine.Memory.Write(Machine.ArgumentAddress, new SgxEnclaveAddPage
        {
            Addr = unchecked(Machine.EnclaveBase + offset),
            Src = Machine.SourceAddress,
            SecInfo = Machine.SecInfoAddress,
            MrMask = mask,
        });
        return machine.Ioctl(enclave, IoctlTable.SGX_IOC_ENCLAVE_ADD_PAGE);
    }
}
