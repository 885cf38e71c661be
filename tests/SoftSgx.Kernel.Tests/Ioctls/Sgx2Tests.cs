using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Kernel.Tests;

/// <summary>RESTRICT_PERMISSIONS, MODIFY_TYPES, REMOVE_PAGES, and pages that come by EAUG.</summary>
public class Sgx2Tests
{
    private const ulong Heap = TestEnclave.HeapOffset;
    private const ulong New = 0x10_0000;
    private const SecInfoFlags Rw = SecInfoFlags.R | SecInfoFlags.W;
    private static readonly LeafResult s_mismatch = LeafResult.FromError(SgxError.SGX_PAGE_ATTRIBUTES_MISMATCH);

    private readonly Machine _machine = new(configuration: new ProcessorConfiguration { Sgx2 = true });
    private readonly Enclave _enclave;
    private readonly InsideThread _thread;

    public Sgx2Tests()
    {
        _enclave = TestEnclave.BuildInitialized(_machine);
        _thread = new InsideThread(_machine, _enclave);
        _enclave.AddAddressSpace(_thread);
        Assert.Equal(LeafResult.Ok, _thread.Enter());
    }

    [Theory]
    [InlineData(0x1UL, 0x1000UL, 1UL, 0UL, 0UL)] // misaligned
    [InlineData(0UL, 0UL, 1UL, 0UL, 0UL)]        // empty
    [InlineData(0UL, 0x800UL, 1UL, 0UL, 0UL)]
    [InlineData(Machine.EnclaveSize, 0x1000UL, 1UL, 0UL, 0UL)]
    [InlineData(0x1000UL, ~0xFFFUL, 1UL, 0UL, 0UL)]
    [InlineData(Heap, 0x1000UL, 8UL, 0UL, 0UL)]  // no permission, not PT_TCS, not PT_TRIM
    [InlineData(Heap, 0x1000UL, 0x102UL, 0UL, 0UL)]
    [InlineData(Heap, 0x1000UL, 2UL, 1UL, 0UL)]  // results are to be zero; and W without R
    [InlineData(Heap, 0x1000UL, 1UL, 0UL, 1UL)]
    public void Bad_arguments_are_EINVAL_and_change_nothing(ulong offset, ulong length, ulong what, ulong result, ulong count)
    {
        (Errno restrict, _, _) = Restrict(offset, length, what, result, count);
        (Errno modify, _, _) = Modify(offset, length, what, result, count);
        Assert.Equal((Errno.EINVAL, Errno.EINVAL), (restrict, modify));
        if (offset != Heap || count != 0)
        {
            Assert.Equal(Errno.EINVAL, Remove(offset, length, count).Errno);
        }

        AssertUnchanged(Heap, PageType.PT_REG, Rw);
    }

    [Fact]
    public void States_and_features_come_first()
    {
        Enclave building = _machine.OpenCreated();
        Assert.Equal(Errno.EINVAL, _machine.Ioctl(building, IoctlTable.SGX_IOC_ENCLAVE_REMOVE_PAGES, Machine.Unmapped));
        Assert.Equal(Errno.EFAULT, _machine.Ioctl(_enclave, IoctlTable.SGX_IOC_ENCLAVE_REMOVE_PAGES, Machine.Unmapped));
        Assert.Equal(Errno.EFAULT, _machine.Ioctl(_enclave, IoctlTable.SGX_IOC_ENCLAVE_MODIFY_TYPES, Machine.Unmapped));
        Assert.Equal(Errno.EFAULT, _machine.Ioctl(_enclave, IoctlTable.SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS, Machine.Unmapped));
        var old = new Machine();
        Enclave enclave = TestEnclave.BuildInitialized(old);
        Assert.Equal(Errno.ENODEV, old.Ioctl(enclave, IoctlTable.SGX_IOC_ENCLAVE_REMOVE_PAGES, Machine.Unmapped));
        Assert.Equal(FaultOutcome.Absent, enclave.HandleFault(Machine.EnclaveBase + New, PageProtection.Read, null));
    }

    [Fact]
    public void Permissions_are_restricted_everywhere_and_accepted()
    {
        Assert.Equal((Errno.None, 0UL, 4096UL), Restrict(Heap, 4096, 1));
        Assert.Equal(SecInfoFlags.R, _machine.Processor.Epcm.Permissions(EpcPageAt(Heap)));
        Assert.Equal([(Heap, PageProtection.Read)], _thread.Restricted);
        Assert.Equal(PageProtection.Read, _enclave.EpcmProtection(Machine.EnclaveBase + Heap));
        Assert.Equal(s_mismatch, _thread.Accept(Heap, PageType.PT_REG, Rw | SecInfoFlags.PR));
        Assert.Equal(LeafResult.Ok, _thread.Accept(Heap, PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.PR));
        Assert.False(_machine.Processor.Epcm.IsPermissionRestricted(EpcPageAt(Heap)));

        // What is taken cannot be had back by the same way; only the enclave itself extends.
        Assert.Equal((Errno.None, 0UL, 4096UL), Restrict(Heap, 4096, 3));
        AssertUnchanged(Heap, PageType.PT_REG, SecInfoFlags.R);
        End();
    }

    [Fact]
    public void A_range_stops_at_the_first_page_that_fails()
    {
        Assert.Equal((Errno.EINVAL, 0UL, 0x1000UL), Restrict(0, 0x2000, 1)); // the TCS
        Assert.Equal((Errno.EFAULT, 0UL, 0x1000UL), Restrict(Heap, 0x2000, 1)); // nothing there
        Assert.Equal((Errno.EFAULT, (ulong)SgxError.SGX_PAGE_NOT_MODIFIABLE, 0x0UL), RestrictPending());
        Assert.Equal((Errno.EAGAIN, 0UL, 0UL), Restrict(TestEnclave.SsaOffset, 0x1000, 1)); // held by the thread inside
        End();
    }

    [Fact]
    public void A_page_comes_when_it_is_touched_and_waits_to_be_accepted()
    {
        Assert.Equal(FaultOutcome.Refused, _thread.Touch(New));
        int page = EpcPageAt(New);
        Assert.True(_machine.Processor.Epcm.IsPending(page));
        Assert.DoesNotContain(New, _machine.LastInode!.Pages);
        Assert.Equal(FaultOutcome.Refused, _thread.Touch(New));
        Assert.Equal(PageProtection.Access, _enclave.MaximumProtection(Machine.EnclaveBase + New));
        Assert.Equal(s_mismatch, _thread.Accept(New, PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.PENDING));

        Assert.Equal(LeafResult.Ok, _thread.Accept(New, PageType.PT_REG, Rw | SecInfoFlags.PENDING));
        Assert.Equal(EpcPageAt(New), _machine.LastInode.Pages[New]);
        Assert.Equal(FaultOutcome.Present, _thread.Touch(New));
        Assert.Equal(0, _machine.Platform.Frame(EpcPageAt(New)).IndexOfAnyExcept((byte)0) + 1);
        End();
    }

    [Fact]
    public void Accepting_an_absent_page_adds_it_first()
    {
        Assert.Equal(LeafResult.Ok, _thread.Accept(New, PageType.PT_REG, Rw | SecInfoFlags.PENDING));
        Assert.Equal(FaultOutcome.Present, _thread.Touch(New));
        Assert.Equal(LeafResult.Ok, _thread.AcceptCopy(New + 0x1000, Heap, Rw));
        Assert.True(_machine.Platform.Frame(EpcPageAt(New + 0x1000)).SequenceEqual(_machine.Platform.Frame(EpcPageAt(Heap))));
        Assert.Equal(FaultOutcome.Present, _thread.Touch(New + 0x1000));
        End();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void No_page_is_added_where_no_mapping_allows_the_access(bool isMapped)
    {
        _thread.IsMapped = isMapped;
        _thread.Mapping = PageProtection.None;
        Assert.Equal(LeafStatus.Fault, _thread.Accept(New, PageType.PT_REG, Rw | SecInfoFlags.PENDING).Status);
        Assert.Equal(FaultOutcome.Forbidden, _thread.Outcome);
        Assert.False(_enclave.TryFindPage(Machine.EnclaveBase + New, out _));
        End();
    }

    [Fact]
    public void No_page_is_added_for_a_TCS_where_nothing_may_be_written()
    {
        var second = new InsideThread(_machine, _enclave) { Mapping = PageProtection.Read };
        Assert.Equal(LeafStatus.Fault, second.Enter(New).Status);
        Assert.Equal(FaultOutcome.Forbidden, second.Outcome);
        Assert.False(_enclave.TryFindPage(Machine.EnclaveBase + New, out _));
        End();
    }

    [Fact]
    public void Every_state_survives_eviction()
    {
        Assert.Equal(FaultOutcome.Refused, _thread.Touch(New)); // pending
        Assert.Equal(LeafResult.Ok, _thread.Accept(New + 0x1000, PageType.PT_REG, Rw | SecInfoFlags.PENDING));
        Assert.Equal(Errno.None, Modify(New + 0x1000, 0x1000, (ulong)PageType.PT_TRIM).Errno); // modified
        Assert.Equal(Errno.None, Restrict(0, 0x1000, 1).Errno); // restricted
        _machine.EvictAll();
        Assert.Equal(-1, EpcPageAt(New));
        Assert.Equal(PageProtection.Read, _enclave.EpcmProtection(Machine.EnclaveBase));

        Assert.Equal(FaultOutcome.Refused, _thread.Touch(New));
        Assert.Equal(LeafResult.Ok, _thread.Accept(New, PageType.PT_REG, Rw | SecInfoFlags.PENDING));
        Assert.Equal(FaultOutcome.Refused, _thread.Touch(New + 0x1000));
        Assert.Equal(LeafResult.Ok, _thread.Accept(New + 0x1000, PageType.PT_TRIM, SecInfoFlags.MODIFIED));
        Assert.Equal(LeafResult.Ok, _thread.Accept(0, PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.PR));
        Assert.Equal((Errno.None, 0x1000UL), Remove(New + 0x1000, 0x1000));
        End();
    }

    [Fact]
    public void A_page_is_removed_after_it_was_trimmed_and_accepted()
    {
        Assert.Equal((Errno.EPERM, 0UL), Remove(Heap + 0x0, 0x1000)); // not trimmed
        Assert.Equal(LeafResult.Ok, _thread.Accept(New, PageType.PT_REG, Rw | SecInfoFlags.PENDING));
        Assert.Equal((Errno.None, 0UL, 0x1000UL), Modify(New, 0x1000, (ulong)PageType.PT_TRIM));
        Assert.Empty(_machine.LastInode!.Copies);
        Assert.Contains(New, _thread.Zapped);
        Assert.DoesNotContain(New, _machine.LastInode!.Pages);
        Assert.Equal(FaultOutcome.Refused, _thread.Touch(New));
        Assert.Equal((Errno.EPERM, 0UL), Remove(New, 0x1000)); // not accepted
        Assert.Equal((Errno.EINVAL, 0UL, 0UL), Modify(New, 0x1000, (ulong)PageType.PT_TRIM)); // twice
        int used = _machine.Pool.Used;
        Assert.Equal(LeafResult.Ok, _thread.Accept(New, PageType.PT_TRIM, SecInfoFlags.MODIFIED));
        Assert.Equal((Errno.EFAULT, 0x1000UL), Remove(New, 0x2000)); // and what follows is absent
        Assert.Equal(used - 1, _machine.Pool.Used);
        Assert.Equal(LeafResult.Ok, _thread.Accept(New, PageType.PT_REG, Rw | SecInfoFlags.PENDING)); // and can come again
        End();
    }

    [Fact]
    public void A_page_becomes_a_TCS()
    {
        const ulong NewTcs = New;
        Assert.Equal(LeafResult.Ok, _thread.Accept(NewTcs, PageType.PT_REG, Rw | SecInfoFlags.PENDING));
        Assert.Equal((Errno.EPERM, 0UL, 0UL), Modify(0, 0x1000, (ulong)PageType.PT_TCS)); // not writable
        Assert.Equal((Errno.EINVAL, 0UL, 0UL), Modify(TestEnclave.TcsOffset, 0x1000, (ulong)PageType.PT_TCS));
        Assert.Equal((Errno.EAGAIN, 0UL, 0UL), Modify(TestEnclave.TcsOffset, 0x1000, (ulong)PageType.PT_TRIM)); // a thread is in
        var tcs = new Tcs { OSsa = TestEnclave.SsaOffset + 0x1000, NSsa = 1, OEntry = 0, FsLimit = 0xFFF, GsLimit = 0xFFF };
        Bytes.Of(in tcs).CopyTo(_machine.Platform.Frame(EpcPageAt(NewTcs)));
        Assert.Equal((Errno.None, 0UL, 0x1000UL), Modify(NewTcs, 0x1000, (ulong)PageType.PT_TCS));
        Assert.Equal(PageProtection.Read | PageProtection.Write, _enclave.MaximumProtection(Machine.EnclaveBase + NewTcs));
        Assert.Equal(LeafResult.Ok, _thread.Accept(NewTcs, PageType.PT_TCS, SecInfoFlags.MODIFIED));
        Assert.Equal(FaultOutcome.Refused, _thread.Touch(NewTcs));

        var second = new InsideThread(_machine, _enclave);
        Assert.Equal(LeafResult.Ok, second.Enter(NewTcs));
        second.Exit();
        End();
    }

    [Fact]
    public void An_enclave_may_grow_beyond_the_EPC()
    {
        for (ulong page = 0; page < 200; page++)
        {
            Assert.Equal(LeafResult.Ok, _thread.Accept(New + (page * 0x1000), PageType.PT_REG, Rw | SecInfoFlags.PENDING));
            _machine.Kernel.ReclaimIfLow();
            _machine.Platform.Frame(EpcPageAt(New + (page * 0x1000)))[5] = (byte)page;
        }

        for (ulong page = 0; page < 200; page++)
        {
            _machine.Kernel.ReclaimIfLow();
            Assert.Equal(FaultOutcome.Present, _thread.Touch(New + (page * 0x1000)));
            Assert.Equal((byte)page, _machine.Platform.Frame(EpcPageAt(New + (page * 0x1000)))[5]);
        }

        End();
    }

    private int EpcPageAt(ulong offset) => _enclave.EpcPageAt(Machine.EnclaveBase + offset);

    private void AssertUnchanged(ulong offset, PageType type, SecInfoFlags permissions)
    {
        Assert.Equal(type, _machine.Processor.Epcm.TypeOf(EpcPageAt(offset)));
        Assert.Equal(permissions, _machine.Processor.Epcm.Permissions(EpcPageAt(offset)));
    }

    private (Errno Errno, ulong Result, ulong Count) RestrictPending()
    {
        Assert.Equal(FaultOutcome.Refused, _thread.Touch(New));
        return Restrict(New, 0x1000, 1);
    }

    private (Errno Errno, ulong Result, ulong Count) Restrict(
        ulong offset, ulong length, ulong permissions, ulong result = 0, ulong count = 0)
    {
        _machine.Memory.Write(Machine.ArgumentAddress, new SgxEnclaveRestrictPermissions
        {
            Offset = offset, Length = length, Permissions = permissions, Result = result, Count = count,
        });
        Errno errno = _machine.Ioctl(_enclave, IoctlTable.SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS);
        var after = _machine.Memory.Read<SgxEnclaveRestrictPermissions>(Machine.ArgumentAddress);
        return (errno, after.Result, after.Count);
    }

    private (Errno Errno, ulong Result, ulong Count) Modify(ulong offset, ulong length, ulong type, ulong result = 0, ulong count = 0)
    {
        _machine.Memory.Write(Machine.ArgumentAddress, new SgxEnclaveModifyTypes
        {
            Offset = offset, Length = length, PageType = type, Result = result, Count = count,
        });
        Errno errno = _machine.Ioctl(_enclave, IoctlTable.SGX_IOC_ENCLAVE_MODIFY_TYPES);
        var after = _machine.Memory.Read<SgxEnclaveModifyTypes>(Machine.ArgumentAddress);
        return (errno, after.Result, after.Count);
    }

    private (Errno Errno, ulong Count) Remove(ulong offset, ulong length, ulong count = 0)
    {
        _machine.Memory.Write(Machine.ArgumentAddress, new SgxEnclaveRemovePages { Offset = offset, Length = length, Count = count });
        Errno errno = _machine.Ioctl(_enclave, IoctlTable.SGX_IOC_ENCLAVE_REMOVE_PAGES);
        return (errno, _machine.Memory.Read<SgxEnclaveRemovePages>(Machine.ArgumentAddress).Count);
    }

    private void End()
    {
        _thread.Exit();
        _enclave.Release();
        _machine.AssertNothingLeaked();
    }
}
