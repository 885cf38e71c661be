using SoftSgx.Architecture;

namespace SoftSgx.Kernel.Tests;

public class AddPagesTests
{
    // In Linux's order of checks. Each breaks one thing and leaves the others alone.
    private static readonly (string Name, Errno Errno, Action<Call> Break)[] s_checks =
    [
        ("argument unreadable", Errno.EFAULT, c => c.Argument = Machine.Unmapped),
        ("source misaligned", Errno.EINVAL, c => c.Pages.Src |= 1),
        ("offset misaligned", Errno.EINVAL, c => c.Pages.Offset |= 0x800),
        ("length zero", Errno.EINVAL, c => c.Pages.Length = 0),
        ("SECINFO unreadable", Errno.EFAULT, c => c.Pages.SecInfo = Machine.Unmapped),
        ("SECINFO invalid", Errno.EINVAL, c => c.SecInfo = SecInfo.For(PageType.PT_SECS, SecInfoFlags.R)),
        ("no EPC page", Errno.ENOMEM, c => c.FreePages = 0),
        ("page exists", Errno.EBUSY, c => c.Exists = true),
        ("no source mapping", Errno.EFAULT, c => c.Pages.Src = (c.Pages.Src & 1) | Machine.Unmapped),
        ("noexec source", Errno.EACCES, c => c.NoExec = true),
        ("source unreadable", Errno.EFAULT, c => c.Unreadable = true),
        ("EADD fails", Errno.EIO, c => c.FailingLeaf = EnclsLeaf.EADD),
        ("EEXTEND fails", Errno.EIO, c => c.FailingLeaf = c.FailingLeaf == EnclsLeaf.EADD ? EnclsLeaf.EADD : EnclsLeaf.EEXTEND),
    ];

    public static TheoryData<int> Checks => [.. Enumerable.Range(0, s_checks.Length)];

    [Fact]
    public void Pages_are_added_and_measured()
    {
        var machine = new Machine();
        Enclave enclave = machine.OpenCreated();
        Assert.Equal(Errno.None, machine.AddPages(enclave, Machine.Pages(0x4000, 3)));
        Assert.Equal(3 * 4096UL, machine.AddedBytes);
        Assert.Equal(3, enclave.PageCount);
        Assert.Equal(3 * 16, machine.Encls.Calls[EnclsLeaf.EEXTEND]);
        Assert.Equal(1, machine.Memory.Lookups); // once a mapping, not once a page
        for (int i = 0; i < 3; i++)
        {
            ulong address = Machine.EnclaveBase + 0x4000 + ((ulong)i * 4096);
            int epcPage = enclave.EpcPageAt(address + 123);
            Assert.Equal(epcPage, machine.LastInode!.Pages[0x4000 + ((ulong)i * 4096)]);
            Assert.Equal(address, machine.Processor.Epcm.EnclaveAddress(epcPage));
            Assert.True(machine.Platform.Frame(epcPage).SequenceEqual(machine.Source.Data.AsSpan(i * 4096, 4096)));
        }

        enclave.Release();
        machine.AssertNothingLeaked();
    }

    [Fact]
    public void Without_the_flag_nothing_is_measured()
    {
        var machine = new Machine();
        Enclave enclave = machine.OpenCreated();
        Assert.Equal(Errno.None, machine.AddPages(enclave, Machine.Pages(measure: false)));
        Assert.False(machine.Encls.Calls.ContainsKey(EnclsLeaf.EEXTEND));
        Assert.Equal(Errno.None, machine.AddPages(enclave, Machine.Pages(0x1000, measure: false) with { Flags = ~1UL }));
        Assert.False(machine.Encls.Calls.ContainsKey(EnclsLeaf.EEXTEND)); // unknown flags are ignored
    }

    [Fact]
    public void Wrong_states_are_EINVAL_before_anything_is_read()
    {
        var machine = new Machine();
        Assert.Equal(Errno.EINVAL, machine.Ioctl(machine.Open(), IoctlTable.SGX_IOC_ENCLAVE_ADD_PAGES, Machine.Unmapped));
        Enclave initialized = TestEnclave.BuildInitialized(machine);
        Assert.Equal(Errno.EINVAL, machine.Ioctl(initialized, IoctlTable.SGX_IOC_ENCLAVE_ADD_PAGES, Machine.Unmapped));
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
    [InlineData(0UL, 0x1000UL, true)]
    [InlineData(Machine.EnclaveSize - 0x1000, 0x1000UL, true)]
    [InlineData(Machine.EnclaveSize - 0x1000, 0x2000UL, false)]
    [InlineData(Machine.EnclaveSize, 0x1000UL, false)]
    [InlineData(0UL, Machine.EnclaveSize + 0x1000, false)]
    [InlineData(0UL, 0UL, false)]
    [InlineData(0UL, 1UL, false)]
    [InlineData(0UL, 0x1001UL, false)]
    [InlineData(1UL, 0x1000UL, false)]
    [InlineData(0xFFFFFFFF_FFFFF000UL, 0x1000UL, false)] // ends at 2^64
    [InlineData(0xFFFFFFFF_FFFFF000UL, 0x2000UL, false)] // wraps
    [InlineData(0x1000UL, 0xFFFFFFFF_FFFFF000UL, false)]
    [InlineData(0x2000UL, 0xFFFFFFFF_FFFFF000UL, false)]
    [InlineData(0UL, 0xFFFFFFFF_FFFFF000UL, false)]
    public void Ranges(ulong offset, ulong length, bool valid)
    {
        var machine = new Machine();
        Enclave enclave = machine.OpenCreated();
        Errno errno = machine.AddPages(enclave, Machine.Pages(offset) with { Length = length });
        Assert.Equal(valid ? Errno.None : Errno.EINVAL, errno);
        Assert.Equal(valid ? length : 0x5555, machine.AddedBytes); // nothing is written back before the loop
        enclave.Release();
        machine.AssertNothingLeaked();
    }

    [Theory]
    [InlineData(PageType.PT_REG, 0UL, true)]
    [InlineData(PageType.PT_REG, 1UL, true)] // R
    [InlineData(PageType.PT_REG, 2UL, false)] // W
    [InlineData(PageType.PT_REG, 3UL, true)] // RW
    [InlineData(PageType.PT_REG, 4UL, true)] // X
    [InlineData(PageType.PT_REG, 5UL, true)] // RX
    [InlineData(PageType.PT_REG, 6UL, false)] // WX
    [InlineData(PageType.PT_REG, 7UL, true)] // RWX
    [InlineData(PageType.PT_REG, 1UL | 8, false)] // PENDING
    [InlineData(PageType.PT_REG, 1UL | 0x10, false)] // MODIFIED
    [InlineData(PageType.PT_REG, 1UL | 0x20, false)] // PR
    [InlineData(PageType.PT_REG, 1UL | 0x40, false)]
    [InlineData(PageType.PT_REG, 1UL | 0x80, false)]
    [InlineData(PageType.PT_REG, 1UL | (1UL << 16), false)]
    [InlineData(PageType.PT_REG, 1UL | (1UL << 63), false)]
    [InlineData(PageType.PT_TCS, 1UL, false)]
    [InlineData(PageType.PT_TCS, 2UL, false)]
    [InlineData(PageType.PT_TCS, 4UL, false)]
    [InlineData(PageType.PT_SECS, 0UL, false)]
    [InlineData(PageType.PT_VA, 0UL, false)]
    [InlineData(PageType.PT_TRIM, 0UL, false)]
    [InlineData(PageType.PT_SS_FIRST, 3UL, false)]
    [InlineData(PageType.PT_SS_REST, 3UL, false)]
    [InlineData((PageType)0xFF, 3UL, false)]
    public void SecInfo_flags(PageType type, ulong flags, bool valid)
    {
        var secInfo = SecInfo.For(type, (SecInfoFlags)flags);
        Assert.Equal(valid, PageAdder.IsValid(in secInfo));
    }

    [Fact]
    public void Every_reserved_byte_of_SecInfo_counts()
    {
        for (int at = 8; at < SecInfo.Size; at++)
        {
            SecInfo secInfo = Machine.RegRw;
            Bytes.Writable(ref secInfo)[at] = 1;
            Assert.False(PageAdder.IsValid(in secInfo));
        }
    }

    [Fact]
    public void A_TCS_has_a_private_frame_and_no_place_in_the_inode()
    {
        var machine = new Machine();
        Enclave enclave = machine.OpenCreated();
        Assert.Equal(Errno.None, machine.AddTcs(enclave, 0x1000));
        Assert.Empty(machine.LastInode!.Pages);
        Assert.Equal(1, machine.Pool.CountOf(PageType.PT_TCS));
        Assert.True(enclave.TryFindPage(Machine.EnclaveBase + 0x1000, out EnclavePage page));
        Assert.Equal((PageType.PT_TCS, PageProtection.Read | PageProtection.Write), (page.Type, page.Maximum));
        enclave.Release();
        machine.AssertNothingLeaked();
    }

    [Fact]
    public void A_TCS_that_the_processor_refuses_is_EIO()
    {
        var machine = new Machine();
        Enclave enclave = machine.OpenCreated();
        Assert.Equal(Errno.EIO, machine.AddPages(enclave, 0x1000, 1, in Machine.TcsPage)); // random bytes are no TCS
        Assert.Equal(0, enclave.PageCount);
        Assert.Equal(0, machine.Pool.CountOf(PageType.PT_TCS));
        enclave.Release();
        machine.AssertNothingLeaked();
    }

    [Fact]
    public void An_error_half_way_is_reported_with_the_bytes_done()
    {
        var machine = new Machine();
        Enclave enclave = machine.OpenCreated();
        Assert.Equal(Errno.None, machine.AddPages(enclave, Machine.Pages(0x3000)));
        Assert.Equal(Errno.EBUSY, machine.AddPages(enclave, Machine.Pages(0x1000, 4)));
        Assert.Equal(2 * 4096UL, machine.AddedBytes);
        Assert.Equal(3, enclave.PageCount);
    }

    [Fact]
    public void A_source_that_ends_early_is_EFAULT_with_the_bytes_done()
    {
        var machine = new Machine();
        Enclave enclave = machine.OpenCreated();
        SgxEnclaveAddPages pages = Machine.Pages(0, 4);
        pages.Src = Machine.SourceAddress + ((Machine.SourcePages - 3) * 4096UL);
        Assert.Equal(Errno.EFAULT, machine.AddPages(enclave, in pages));
        Assert.Equal(3 * 4096UL, machine.AddedBytes);
    }

    [Fact]
    public void A_source_across_two_mappings_is_looked_up_twice()
    {
        var machine = new Machine();
        Enclave enclave = machine.OpenCreated();
        machine.Memory.Map(Machine.SourceAddress + (Machine.SourcePages * 4096), 2 * 4096);
        SgxEnclaveAddPages pages = Machine.Pages(0, 4);
        pages.Src = Machine.SourceAddress + ((Machine.SourcePages - 2) * 4096UL);
        Assert.Equal(Errno.None, machine.AddPages(enclave, in pages));
        Assert.Equal(2, machine.Memory.Lookups);
    }

    [Theory]
    [InlineData(0xFFFFFFFF_FFFFF000UL)]
    [InlineData(0UL)]
    [InlineData(0x8000_0000_0000UL)]
    [InlineData(0xFFFF8000_00000000UL)]
    public void Hostile_sources_are_EFAULT(ulong source)
    {
        var machine = new Machine();
        Enclave enclave = machine.OpenCreated();
        Assert.Equal(Errno.EFAULT, machine.AddPages(enclave, Machine.Pages(0, 4) with { Src = source }));
        Assert.Equal(0UL, machine.AddedBytes);
    }

    [Fact]
    public void A_source_that_wraps_around_ends_at_the_wrap()
    {
        var machine = new Machine();
        Enclave enclave = machine.OpenCreated();
        machine.Memory.Map(0xFFFFFFFF_FFFFE000, 4095); // readable but for its last byte
        Assert.Equal(Errno.EFAULT, machine.AddPages(enclave, Machine.Pages(0, 4) with { Src = 0xFFFFFFFF_FFFFE000 }));
    }

    [Fact]
    public void An_argument_that_cannot_be_written_back_is_EFAULT_after_the_work()
    {
        var machine = new Machine();
        Enclave enclave = machine.OpenCreated();
        machine.Argument.Writable = false;
        Assert.Equal(Errno.EFAULT, machine.AddPages(enclave, Machine.Pages(0, 2)));
        Assert.Equal(2, enclave.PageCount);
        Assert.Equal(Errno.EFAULT, machine.AddPages(enclave, Machine.Pages(0, 2))); // and hides EBUSY
    }

    [Fact]
    public void A_signal_ends_the_call_early()
    {
        var machine = new Machine();
        Enclave enclave = machine.OpenCreated();
        machine.Memory.SignalAfterPageReads = machine.Memory.PageReads + 2;
        Assert.Equal(Errno.None, machine.AddPages(enclave, Machine.Pages(0, 5)));
        Assert.Equal(2 * 4096UL, machine.AddedBytes);
        Assert.Equal(Errno.ERESTARTSYS, machine.AddPages(enclave, Machine.Pages(0x2000, 3)));
        Assert.Equal(0UL, machine.AddedBytes);

        machine.Memory.SignalAfterPageReads = int.MaxValue;
        Assert.Equal(Errno.None, machine.AddPages(enclave, Machine.Pages(0x2000, 3)));
        Assert.Equal(5, enclave.PageCount);
    }

    [Fact]
    public void Nothing_reclaimable_is_ENOMEM_and_a_free_page_mends_it()
    {
        var machine = new Machine(epcPages: 8);
        machine.LeaveFree(2);
        Enclave first = machine.OpenCreated();
        Assert.Equal(Errno.ENOMEM, machine.AddPages(first, Machine.Pages(0, 10))); // a SECS before INIT and a version array stay
        Assert.Equal(0UL, machine.AddedBytes);
        Enclave second = machine.Open();
        Assert.Equal(Errno.ENOMEM, machine.Create(second, Machine.Secs()));

        machine.FreeOne();
        Assert.Equal(Errno.None, machine.AddPages(first, Machine.Pages(0, 10))); // through one EPC page
        Assert.Equal(10, first.PageCount);
        Assert.Equal(9, first.Counters.Evictions);
        first.Release();
        machine.FreeAll();
        Assert.Equal(Errno.None, machine.Create(second, Machine.Secs()));
        second.Release();
        machine.AssertNothingLeaked();
    }

    [Fact]
    public void Enclaves_that_nobody_refers_to_go_before_pages_are_reclaimed()
    {
        var machine = new Machine(epcPages: 12);
        var unreferenced = new Queue<Enclave>([machine.OpenCreated(), machine.OpenCreated(), machine.OpenCreated()]);
        int asked = 0;
        machine.Kernel.DirectReclaim = () =>
        {
            asked++;
            bool any = unreferenced.TryDequeue(out Enclave? enclave);
            enclave?.Release();
            return any;
        };
        machine.LeaveFree(0);
        Enclave enclave = machine.OpenCreated();
        Assert.Equal(1, asked);

        // In the midst of a call, which goes on as if nothing had been: 3 · 2 pages, less SECS and version array.
        Assert.Equal(Errno.None, machine.AddPages(enclave, Machine.Pages(0, 4)));
        Assert.Equal((3, 0), (asked, (int)enclave.Counters.Evictions));
        Assert.Equal(Errno.None, machine.AddPages(enclave, Machine.Pages(0x4000, 4)));
        Assert.Equal((4, 4), (asked, (int)enclave.Counters.Evictions));
        enclave.Release();
        machine.AssertNothingLeaked();
    }

    [Fact]
    public void Every_512th_page_needs_a_version_array()
    {
        var machine = new Machine(epcPages: 1100);
        Enclave enclave = machine.OpenCreated();
        Assert.Equal(Errno.None, AddMany(machine, enclave, 0, 511)); // with the SECS, 512
        Assert.Equal(1, machine.Pool.CountOf(PageType.PT_VA));

        machine.EvictAll();
        machine.LeaveFree(1); // enough for the page, not for its version array
        Assert.Equal(Errno.ENOMEM, AddMany(machine, enclave, 511, 1));
        Assert.Equal(1, machine.Pool.CountOf(PageType.PT_VA));
        Assert.Equal(1, machine.Pool.Free);

        machine.FreeOne();
        machine.Encls.Fail(EnclsLeaf.EADD, ScriptedEncls.Fault);
        Assert.Equal(Errno.EIO, AddMany(machine, enclave, 511, 1));
        Assert.Equal(1, machine.Pool.CountOf(PageType.PT_VA));
        machine.Encls.Script = (_, _) => null;
        Assert.Equal(Errno.None, AddMany(machine, enclave, 511, 1));
        Assert.Equal(2, machine.Pool.CountOf(PageType.PT_VA));

        machine.FreeAll();
        Assert.Equal(Errno.None, AddMany(machine, enclave, 512, 511));
        Assert.Equal(2, machine.Pool.CountOf(PageType.PT_VA));
        Assert.Equal(Errno.None, AddMany(machine, enclave, 1023, 1));
        Assert.Equal(3, machine.Pool.CountOf(PageType.PT_VA));
        enclave.Release();
        machine.AssertNothingLeaked();
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(15)]
    public void A_failed_EEXTEND_removes_its_page_only(int block)
    {
        var machine = new Machine();
        Enclave enclave = machine.OpenCreated();
        machine.Encls.Fail(EnclsLeaf.EEXTEND, ScriptedEncls.Fault, from: 16 + block);
        Assert.Equal(Errno.EIO, machine.AddPages(enclave, Machine.Pages(0, 3)));
        Assert.Equal(4096UL, machine.AddedBytes);
        Assert.Equal(1, enclave.PageCount);
        Assert.Single(machine.LastInode!.Pages);
        Assert.Equal(1, machine.Pool.CountOf(PageType.PT_REG));
        enclave.Release();
        machine.AssertNothingLeaked();
    }

    [Fact]
    public void Adding_a_page_allocates_no_buffer()
    {
        var machine = new Machine(epcPages: 1024);
        Enclave enclave = machine.OpenCreated();
        Assert.Equal(Errno.None, AddMany(machine, enclave, 0, 128));
        machine.Encls.Script = (_, _) => null;
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 100; i++)
        {
            Assert.Equal(Errno.EBUSY, machine.AddPages(enclave, Machine.Pages(0)));
        }

        // What remains is the simulated memory's: nothing like 4096 bytes a page.
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 100 * 1024);
    }

    private static Errno AddMany(Machine machine, Enclave enclave, ulong firstPage, int count)
    {
        for (ulong done = 0; done < (ulong)count;)
        {
            ulong now = Math.Min((ulong)count - done, Machine.SourcePages);
            Errno errno = machine.AddPages(enclave, Machine.Pages((firstPage + done) * 4096, now, measure: false));
            if (errno != Errno.None)
            {
                return errno;
            }

            done += now;
        }

        return Errno.None;
    }

    private static void AssertFails(Call call, Errno errno, string name)
    {
        var machine = new Machine();
        Enclave enclave = machine.OpenCreated();
        if (call.Exists)
        {
            Assert.Equal(Errno.None, machine.AddPages(enclave, Machine.Pages()));
        }

        machine.Source.MayExecute = !call.NoExec;
        machine.Source.Readable = !call.Unreadable;
        if (call.FreePages == 0)
        {
            machine.EvictAll(); // with a page left to reclaim, there would be one
        }

        machine.LeaveFree(call.FreePages);
        if (call.FailingLeaf is EnclsLeaf leaf)
        {
            machine.Encls.Fail(leaf, ScriptedEncls.Fault);
        }

        machine.Memory.Write(Machine.SecInfoAddress, in call.SecInfo);
        machine.Memory.Write(Machine.ArgumentAddress, in call.Pages);
        var before = (machine.Pool.Used, machine.Platform.FrameCount, enclave.PageCount, machine.LastInode!.Pages.Count);

        Errno actual = machine.Ioctl(enclave, IoctlTable.SGX_IOC_ENCLAVE_ADD_PAGES, call.Argument);

        Assert.True(errno == actual, $"{name}: {actual} instead of {errno}");
        Assert.Equal(before, (machine.Pool.Used, machine.Platform.FrameCount, enclave.PageCount, machine.LastInode.Pages.Count));
        enclave.Release();
        machine.AssertNothingLeaked();
    }

    private sealed class Call
    {
        public SgxEnclaveAddPages Pages = Machine.Pages();

        public SecInfo SecInfo = Machine.RegRw;

        public ulong Argument { get; set; } = Machine.ArgumentAddress;

        public int FreePages { get; set; } = 16;

        public bool Exists { get; set; }

        public bool NoExec { get; set; }

        public bool Unreadable { get; set; }

        public EnclsLeaf? FailingLeaf { get; set; }
    }
}
