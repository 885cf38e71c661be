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
            ["too large"] = Machine.Secs(1UL << 57, 0),
            ["too large outside 64-bit mode"] = With((ref Secs s) =>
                (s.EnclaveSize, s.BaseAddress, s.Attributes.Flags) = (1UL << 32, 0, 0)),
            ["reserved attribute"] = With((ref Secs s) => s.Attributes.Flags |= (AttributeFlags)8),
            ["INIT"] = With((ref Secs s) => s.Attributes.Flags |= AttributeFlags.INIT),
            ["MISCSELECT"] = With((ref Secs s) => s.MiscSelect = MiscSelect.CPINFO),
            ["XFRM without SSE"] = With((ref Secs s) => s.Attributes.Xfrm = 1),
            ["XFRM unsupported"] = With((ref Secs s) => s.Attributes.Xfrm |= 1UL << 40),
            ["no SSA frame"] = With((ref Secs s) => s.SsaFrameSize = 0),
            ["CET attributes"] = With((ref Secs s) => s.CetAttributes = 1),
            ["CET bitmap"] = With((ref Secs s) => s.CetLegacyBitmapOffset = 4096),
            ["first reserved byte"] = With((ref Secs s) => Bytes.Writable(ref s)[33] = 1),
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
    public void SIGSTRUCT_is_EINITs_to_refuse()
    {
        var machine = new Machine();
        (Enclave enclave, SigStruct good) = Build(machine);
        SigStruct sigStruct = good;
        sigStruct.Vendor = 1;
        TestSigner.Sign(ref sigStruct);
        Assert.Equal((long)SgxError.SGX_INVALID_SIG_STRUCT, -(long)machine.Init(enclave, in sigStruct));
        sigStruct = good;
        sigStruct.IsvSvn ^= 1;
        Assert.Equal((long)SgxError.SGX_INVALID_SIGNATURE, -(long)machine.Init(enclave, in sigStruct));
        sigStruct = good;
        sigStruct.Attributes = new SgxAttributes(AttributeFlags.MODE64BIT | (AttributeFlags)(1UL << 40), 3);
        TestSigner.Sign(ref sigStruct);
        Assert.Equal((long)SgxError.SGX_INVALID_ATTRIBUTE, -(long)machine.Init(enclave, in sigStruct));
        Assert.Equal(Errno.None, machine.Init(enclave, in good)); // none of them cost the enclave
    }

    [Fact]
    public void A_fault_of_EINIT_is_EFAULT_and_the_end()
    {
        var machine = new Machine();
        (Enclave enclave, SigStruct sigStruct) = Build(machine);
        machine.Encls.Fail(EnclsLeaf.EINIT, ScriptedEncls.Fault);
        Assert.Equal(Errno.EFAULT, machine.Init(enclave, in sigStruct));
        Assert.True(enclave.IsDead);
        machine.AssertNothingLeaked();
        machine.Encls.Script = (_, _) => null;
        Assert.Equal(Errno.EFAULT, machine.Init(enclave, in sigStruct));
        enclave.Release();
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
        Assert.Equal(Errno.EFAULT, AddPage(machine, enclave, offset, 0));
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
        Assert.Equal(Errno.EEXIST, AddPage(machine, enclave, 0, 0));
        Assert.Equal(Errno.EINVAL, AddPage(machine, enclave, 0x1000, 0, source: Machine.SourceAddress + 64));
        Assert.Equal(Errno.EFAULT, AddPage(machine, enclave, 0x1000, 0, source: Machine.Unmapped));
        Assert.Equal(Errno.EINVAL, AddPage(machine, enclave, 0x1000, 0, SecInfo.For(PageType.PT_TCS, SecInfoFlags.R)));

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

    [Fact]
    public void Mapping_without_access_always_succeeds()
    {
        var machine = new Machine();
        (Enclave enclave, SigStruct sigStruct) = Build(machine);
        Assert.Equal(Errno.None, machine.Init(enclave, in sigStruct));
        ulong outside = Machine.EnclaveBase - 0x1000;
        Assert.Equal(Errno.None, enclave.MayMap(outside, outside + 0x2000, PageProtection.None));
        Assert.Equal(Errno.EACCES, enclave.MayMap(outside, outside + 0x2000, PageProtection.Read));

        Enclave mainline = TestEnclave.BuildInitialized(new Machine());
        Assert.Equal(Errno.EACCES, mainline.MayMap(outside, outside + 0x2000, PageProtection.None));
    }

    [Fact]
    public void The_source_may_be_noexec_if_the_page_is_not_executable()
    {
        var machine = new Machine();
        Enclave enclave = machine.OpenCreated(DeviceAbi.V22);
        Assert.Equal(Errno.None, AddPage(machine, enclave, 0, 0, Machine.RegRw, Machine.NoExecAddress));
        Assert.Equal(Errno.EACCES, AddPage(machine, enclave, 0x1000, 0, Machine.RegRx, Machine.NoExecAddress));
        Assert.Equal(Errno.None, AddPage(machine, enclave, 0x1000, 0, Machine.RegRx));
    }

    [Fact]
    public void Before_INIT_no_access_finds_a_page()
    {
        var machine = new Machine();
        (Enclave enclave, SigStruct sigStruct) = Build(machine);
        var thread = new InsideThread(machine, enclave);
        enclave.AddAddressSpace(thread);
        Assert.True(enclave.IsOutOfReach);
        Assert.Equal(FaultOutcome.NotInitialized, thread.Touch(TestEnclave.CodeOffset, PageProtection.Read));
        Assert.Equal(FaultOutcome.NotInitialized, thread.Touch(TestEnclave.TcsOffset));
        Assert.Equal(FaultOutcome.NotInitialized, thread.Touch(Absent));
        Assert.Equal(-1, enclave.EpcPageAt(Machine.EnclaveBase));

        // Nor does EENTER: it meets a page fault, where mainline lets it see that the enclave is not initialised.
        LeafResult result = thread.Enter();
        Assert.Equal((ExceptionVector.PF, Machine.EnclaveBase + TestEnclave.TcsOffset), (result.Fault.Kind, result.Fault.Address));

        machine.EvictAll();
        Assert.Equal(FaultOutcome.NotInitialized, thread.Touch(TestEnclave.HeapOffset));
        Assert.Equal(Errno.None, machine.Init(enclave, in sigStruct));
        Assert.False(enclave.IsOutOfReach);
        Assert.Equal(FaultOutcome.Present, thread.Touch(TestEnclave.CodeOffset, PageProtection.Read));
        Assert.Equal(FaultOutcome.Refused, thread.Touch(TestEnclave.TcsOffset));
        Assert.Equal(LeafResult.Ok, thread.Enter());
    }

    [Fact]
    public void By_the_old_path_and_the_new_ioctl_pages_can_be_touched_before_INIT()
    {
        var machine = new Machine();
        (Enclave enclave, _) = TestEnclave.Build(machine, DeviceAbi.V22);
        var thread = new InsideThread(machine, enclave);
        Assert.False(enclave.IsOutOfReach);
        Assert.Equal(FaultOutcome.Present, thread.Touch(TestEnclave.HeapOffset));
        Assert.Equal(FaultOutcome.Absent, thread.Touch(Absent));
        Assert.Equal(ExceptionVector.GP, thread.Enter().Fault.Kind);
    }

    [Fact]
    public void There_is_no_SGX2()
    {
        var machine = new Machine(configuration: new ProcessorConfiguration { Sgx2 = true });
        (Enclave enclave, SigStruct sigStruct) = Build(machine);
        Assert.Equal(Errno.None, machine.Init(enclave, in sigStruct));
        var thread = new InsideThread(machine, enclave);
        enclave.AddAddressSpace(thread);
        Assert.Equal(FaultOutcome.Absent, thread.Touch(Absent));
        Assert.Equal(LeafResult.Ok, thread.Enter());
        LeafResult accept = thread.Accept(Absent, PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.W | SecInfoFlags.PENDING);
        Assert.Equal((ExceptionVector.PF, Machine.EnclaveBase + Absent), (accept.Fault.Kind, accept.Fault.Address));
        Assert.False(machine.Encls.Calls.ContainsKey(EnclsLeaf.EAUG));
        foreach (IoctlEntry entry in IoctlTable.Entries.Where(entry => entry.Support == IoctlSupport.NeedsSgx2))
        {
            Assert.Equal(Errno.ENOTTY, machine.Ioctl(enclave, entry.Command));
        }
    }

    private const ulong Absent = 0x10_0000;

    private delegate void Change(ref Secs secs);

    private static Secs With(Change change)
    {
        Secs secs = Machine.Secs();
        change(ref secs);
        return secs;
    }

    /// <summary>The test enclave, built up to INIT by ADD_PAGE.</summary>
    private static (Enclave Enclave, SigStruct SigStruct) Build(Machine machine)
    {
        Enclave enclave = machine.OpenCreated(DeviceAbi.V22);
        var measurement = new Measurement(1, Machine.EnclaveSize);
        byte[] saved = machine.Source.Data[..4096];
        Add(TestEnclave.CodeOffset, in Machine.RegRx, 0xFFFF);
        var tcs = new Tcs { OSsa = TestEnclave.SsaOffset, NSsa = 2, OEntry = 0, FsLimit = 0xFFF, GsLimit = 0xFFF };
        machine.Memory.Write(Machine.SourceAddress, in tcs);
        Add(TestEnclave.TcsOffset, in Machine.TcsPage, 0x00FF);
        machine.Memory.Put(Machine.SourceAddress, saved);
        Add(TestEnclave.SsaOffset, in Machine.RegRw, 1);
        Add(TestEnclave.SsaOffset + 0x1000, in Machine.RegRw, 1);
        Add(TestEnclave.HeapOffset, in Machine.RegRw, 0);
        return (enclave, TestEnclave.Signed(measurement.Value));

        void Add(ulong offset, in SecInfo secInfo, ushort mask)
        {
            Assert.Equal(Errno.None, AddPage(machine, enclave, offset, mask, secInfo));
            measurement.AddPage(offset, in secInfo, machine.Source.Data.AsSpan(0, 4096), mask);
        }
    }

    private static Errno AddPage(
        Machine machine, Enclave enclave, ulong offset, ushort mask, SecInfo? secInfo = null, ulong source = Machine.SourceAddress)
    {
        machine.Memory.Write(Machine.SecInfoAddress, secInfo ?? Machine.RegRw);
        machine.Memory.Write(Machine.ArgumentAddress, new SgxEnclaveAddPage
        {
            Addr = unchecked(Machine.EnclaveBase + offset),
            Src = source,
            SecInfo = Machine.SecInfoAddress,
            MrMask = mask,
        });
        return machine.Ioctl(enclave, IoctlTable.SGX_IOC_ENCLAVE_ADD_PAGE);
    }
}
