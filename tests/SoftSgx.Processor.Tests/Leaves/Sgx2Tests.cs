using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Processor.Tests;

/// <summary>EAUG, EMODPR and EMODT, and what the enclave says to it: EACCEPT, EACCEPTCOPY and EMODPE.</summary>
public class Sgx2Tests
{
    private const ulong NewAddress = TestPlatform.Base + 0x8000;
    private const int NewPage = 150;
    private const SecInfoFlags ReadWrite = SecInfoFlags.R | SecInfoFlags.W;

    private static readonly LeafResult s_gp = LeafResult.FromFault(Fault.GeneralProtection());
    private static readonly LeafResult s_mismatch = LeafResult.FromError(SgxError.SGX_PAGE_ATTRIBUTES_MISMATCH);
    private static readonly LeafResult s_notTracked = LeafResult.FromError(SgxError.SGX_NOT_TRACKED);
    private static readonly LeafResult s_notModifiable = LeafResult.FromError(SgxError.SGX_PAGE_NOT_MODIFIABLE);
    private static readonly LeafResult s_conflict = LeafResult.FromError(SgxError.SGX_EPC_PAGE_CONFLICT);

    private readonly TestPlatform _platform = new(new ProcessorConfiguration { Sgx2 = true });
    private readonly TestEnclave _enclave;
    private RegisterFile _registers;

    public Sgx2Tests() => _enclave = TestEnclave.Initialized(_platform);

    private SgxProcessor Processor => _platform.Processor;

    private Epcm Epcm => _platform.Processor.Epcm;

    [Fact]
    public void An_added_page_is_zero_pending_and_unusable_until_accepted()
    {
        _platform.Frames.Frame(NewPage).Fill(0xCC);
        Augment();
        Assert.True(Bytes.IsZero(_platform.Frames.Frame(NewPage)));
        Assert.True(Epcm.IsPending(NewPage));
        Assert.Equal(ReadWrite, Epcm.Permissions(NewPage));
        _registers = _enclave.EnterOk();
        Assert.Equal(ExceptionVector.PF, Key(NewAddress).Fault.Kind);

        Assert.Equal(LeafResult.Ok, Accept(PageType.PT_REG, ReadWrite | SecInfoFlags.PENDING));
        Assert.Equal(0UL, _registers.Rax);
        Assert.Equal(0UL, _registers.Rflags & Rflags.Arithmetic);
        Assert.False(Epcm.IsPending(NewPage));
        Assert.Equal(LeafResult.Ok, Key(NewAddress));
        Assert.False(Bytes.IsZero(_platform.Frames.Frame(NewPage)));
    }

    [Fact]
    public void Checks_of_eaug_come_in_the_manuals_order()
    {
        SecInfo info = TestPlatform.RegInfo;
        Secs secs = TestPlatform.DefaultSecs();
        int building = _platform.Create(in secs);

        Assert.Equal(999UL << 12, EAug.Execute(Processor, info, 1, 998, 999).Fault.Address);
        Assert.Equal(s_gp, EAug.Execute(Processor, info, 1, 998, _enclave.DataPage));
        Assert.Equal(998UL << 12, EAug.Execute(Processor, info, 0, 998, _enclave.DataPage).Fault.Address);
        Assert.Equal((ulong)_enclave.DataPage << 12, EAug.Execute(Processor, info, 0, 200, _enclave.DataPage).Fault.Address);
        Assert.Equal(s_gp, EAug.Execute(Processor, info, 0, 200, NewPage));
        Assert.Equal(200UL << 12, EAug.Execute(Processor, null, 0, 200, NewPage).Fault.Address);
        Assert.Equal((ulong)_enclave.DataPage << 12, EAug.Execute(Processor, null, 0, _enclave.DataPage, NewPage).Fault.Address);
        Assert.Equal(s_gp, EAug.Execute(Processor, null, TestPlatform.Base, building, NewPage));
        Assert.Equal(s_gp, EAug.Execute(Processor, null, TestPlatform.Base - 4096, _enclave.SecsPage, NewPage));
        Assert.Equal(s_gp, EAug.Execute(Processor, null, TestPlatform.Base + TestPlatform.Size, _enclave.SecsPage, NewPage));
        Assert.False(Epcm.IsValid(NewPage));
        Augment();
        Assert.Equal(LeafResult.FromError(SgxError.SGX_CHILD_PRESENT), ERemove.Execute(Processor, _enclave.SecsPage));
        Assert.Equal(LeafResult.Ok, ERemove.Execute(Processor, NewPage));
    }

    [Theory]
    [InlineData(PageType.PT_REG, ReadWrite)]
    [InlineData(PageType.PT_REG, ReadWrite | SecInfoFlags.PENDING | SecInfoFlags.MODIFIED)]
    [InlineData(PageType.PT_REG, ReadWrite | SecInfoFlags.MODIFIED)]
    [InlineData(PageType.PT_TCS, SecInfoFlags.None)]
    [InlineData(PageType.PT_TCS, SecInfoFlags.MODIFIED | SecInfoFlags.PENDING)]
    [InlineData(PageType.PT_TRIM, SecInfoFlags.MODIFIED | SecInfoFlags.PR)]
    [InlineData(PageType.PT_SECS, SecInfoFlags.MODIFIED)]
    [InlineData(PageType.PT_VA, SecInfoFlags.PENDING)]
    [InlineData(PageType.PT_SS_FIRST, ReadWrite | SecInfoFlags.PENDING)]
    [InlineData(PageType.PT_REG, ReadWrite | SecInfoFlags.PENDING | (SecInfoFlags)0x40)]
    public void What_can_never_be_accepted_is_a_general_protection_fault(PageType type, SecInfoFlags flags)
    {
        Augment();
        _registers = _enclave.EnterOk();
        RegisterFile before = _registers;
        before.Rax = (ulong)EncluLeaf.EACCEPT;
        before.Rbx = TestEnclave.DataAddress;
        before.Rcx = NewAddress;

        Assert.Equal(s_gp, Accept(type, flags));
        Assert.Equal(before, _registers);
    }

    [Theory]
    [InlineData(PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.PENDING)]
    [InlineData(PageType.PT_REG, SecInfoFlags.RWX | SecInfoFlags.PENDING)]
    [InlineData(PageType.PT_REG, ReadWrite | SecInfoFlags.PR)]
    [InlineData(PageType.PT_TCS, SecInfoFlags.MODIFIED)]
    [InlineData(PageType.PT_TRIM, SecInfoFlags.MODIFIED)]
    public void What_is_not_as_the_enclave_says_is_a_mismatch(PageType type, SecInfoFlags flags)
    {
        Augment();
        _registers = _enclave.EnterOk();
        _registers.Rflags |= Rflags.CF;

        Assert.Equal(s_mismatch, Accept(type, flags));
        Assert.Equal(19UL, _registers.Rax);
        Assert.Equal(Rflags.ZF, _registers.Rflags & Rflags.Arithmetic);
        Assert.True(Epcm.IsPending(NewPage));
    }

    [Fact]
    public void A_page_at_another_address_is_a_mismatch_and_of_another_enclave_a_fault()
    {
        Augment();
        _enclave.Space.Map(NewAddress + 0x1000, NewPage);
        _registers = _enclave.EnterOk();
        Assert.Equal(s_mismatch, Accept(PageType.PT_REG, ReadWrite | SecInfoFlags.PENDING, NewAddress + 0x1000));
        Secs secs = TestPlatform.DefaultSecs();
        int other = _platform.Create(in secs);
        int strange = _platform.Add(other, 0x8000, new byte[4096], TestPlatform.RegInfo);
        foreach (int page in new[] { strange, other, 200, LinearSpace.Ordinary })
        {
            _enclave.Space.Map(NewAddress, page);
            LeafResult result = Accept(PageType.PT_REG, ReadWrite | SecInfoFlags.PENDING);
            Assert.Equal(LeafResult.FromFault(Fault.Page(NewAddress, PageFaultError.Present | PageFaultError.User | PageFaultError.Sgx)), result);
        }

        _enclave.Space.Unmap(NewAddress);
        Assert.Equal(LeafResult.FromFault(Fault.Page(NewAddress, PageFaultError.User)), Accept(PageType.PT_REG, ReadWrite | SecInfoFlags.PENDING));
    }

    [Fact]
    public void Checks_of_eaccept_come_in_the_manuals_order()
    {
        Augment();
        _registers = _enclave.EnterOk();
        Put(SecInfo.For(PageType.PT_SECS, (SecInfoFlags)0x40));
        Assert.Equal(s_gp, Run(EncluLeaf.EACCEPT, TestEnclave.DataAddress + 32, 1));
        Assert.Equal(s_gp, Run(EncluLeaf.EACCEPT, TestPlatform.Base + TestPlatform.Size, 1));
        Assert.Equal(ExceptionVector.PF, Run(EncluLeaf.EACCEPT, TestPlatform.Base + 0x9000, 1).Fault.Kind);
        Assert.Equal(TestPlatform.Base, Run(EncluLeaf.EACCEPT, TestPlatform.Base, 1).Fault.Address);
        Assert.Equal(s_gp, Run(EncluLeaf.EACCEPT, TestEnclave.DataAddress, 0x1000));
        Put(SecInfo.For(PageType.PT_SECS, SecInfoFlags.None));
        Assert.Equal(s_gp, Run(EncluLeaf.EACCEPT, TestEnclave.DataAddress, NewAddress + 8));
        Assert.Equal(s_gp, Run(EncluLeaf.EACCEPT, TestEnclave.DataAddress, 0x1000));
        Assert.Equal(ExceptionVector.PF, Run(EncluLeaf.EACCEPT, TestEnclave.DataAddress, TestPlatform.Base + 0x9000).Fault.Kind);
        Assert.Equal(s_gp, Run(EncluLeaf.EACCEPT, TestEnclave.DataAddress, NewAddress));
        Assert.Equal(LeafResult.Ok, EBlock.Execute(Processor, NewPage));
        Assert.Equal(NewAddress, Accept(PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.PENDING).Fault.Address);
    }

    [Fact]
    public void Restricted_permissions_hold_at_once_and_are_accepted_when_all_have_left()
    {
        SecInfo readable = SecInfo.For(PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.X);
        ulong last = _enclave.LastAddress;
        _registers = _enclave.EnterOk();
        Assert.Equal(LeafResult.Ok, EModPr.Execute(Processor, in readable, _enclave.LastPage));
        Assert.Equal(SecInfoFlags.R, Epcm.Permissions(_enclave.LastPage));
        Assert.True(Epcm.IsPermissionRestricted(_enclave.LastPage));
        Assert.Equal(ExceptionVector.PF, Key(last).Fault.Kind);

        Assert.Equal(s_mismatch, Accept(PageType.PT_REG, ReadWrite | SecInfoFlags.PR, last));
        Assert.Equal(s_notTracked, Accept(PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.PR, last));
        Assert.Equal(11UL, _registers.Rax);
        Assert.Equal(LeafResult.Ok, ETrack.Execute(Processor, _enclave.SecsPage));
        Assert.Equal(s_notTracked, Accept(PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.PR, last));
        Leave();
        _registers = _enclave.EnterOk();
        Assert.Equal(LeafResult.Ok, Accept(PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.PR, last));
        Assert.False(Epcm.IsPermissionRestricted(_enclave.LastPage));
        Assert.Equal(SecInfoFlags.R, Epcm.Permissions(_enclave.LastPage));
    }

    [Fact]
    public void Checks_of_emodpr_come_in_the_manuals_order()
    {
        SecInfo bad = SecInfo.For(PageType.PT_REG, (SecInfoFlags)0x80);
        SecInfo writeOnly = SecInfo.For(PageType.PT_REG, SecInfoFlags.W);
        SecInfo good = SecInfo.For(PageType.PT_REG, SecInfoFlags.R);
        Secs secs = TestPlatform.DefaultSecs();
        int building = _platform.Create(in secs);
        int early = _platform.Add(building, 0, new byte[4096], TestPlatform.RegInfo);
        Augment();

        Assert.Equal(ExceptionVector.PF, EModPr.Execute(Processor, in bad, 999).Fault.Kind);
        Assert.Equal(s_gp, EModPr.Execute(Processor, in bad, 200));
        Assert.Equal(s_gp, EModPr.Execute(Processor, in writeOnly, 200));
        Assert.Equal(ExceptionVector.PF, EModPr.Execute(Processor, in good, 200).Fault.Kind);
        Assert.Equal(s_notModifiable, EModPr.Execute(Processor, in good, NewPage));
        Assert.Equal(ExceptionVector.PF, EModPr.Execute(Processor, in good, _enclave.TcsPage).Fault.Kind);
        Assert.Equal(ExceptionVector.PF, EModPr.Execute(Processor, in good, _enclave.SecsPage).Fault.Kind);
        Assert.Equal(s_gp, EModPr.Execute(Processor, in good, early));
        Modify(PageType.PT_TRIM, _enclave.LastPage);
        Assert.Equal(s_notModifiable, EModPr.Execute(Processor, in good, _enclave.LastPage));
    }

    [Fact]
    public void A_trimmed_page_goes_while_threads_are_inside_once_it_is_accepted()
    {
        ulong last = _enclave.LastAddress;
        Modify(PageType.PT_TRIM, _enclave.LastPage);
        Assert.Equal(SecInfoFlags.None, Epcm.Permissions(_enclave.LastPage));
        Assert.True(Epcm.IsModified(_enclave.LastPage));
        Assert.Equal(LeafResult.Ok, ETrack.Execute(Processor, _enclave.SecsPage));
        _registers = _enclave.EnterOk();
        Assert.Equal(LeafResult.FromError(SgxError.SGX_ENCLAVE_ACT), ERemove.Execute(Processor, _enclave.LastPage));
        Assert.Equal(LeafResult.Ok, Accept(PageType.PT_TRIM, SecInfoFlags.MODIFIED, last));
        Assert.Equal(PageType.PT_TRIM, Epcm.TypeOf(_enclave.LastPage));
        Assert.Equal(ExceptionVector.PF, Key(last).Fault.Kind);
        Assert.Equal(LeafResult.Ok, ERemove.Execute(Processor, _enclave.LastPage));
        Assert.False(Epcm.IsValid(_enclave.LastPage));
        Assert.Equal(LeafResult.FromError(SgxError.SGX_ENCLAVE_ACT), ERemove.Execute(Processor, _enclave.DataPage));

        // It no longer counts as a page of the enclave: when the others are gone too, the SECS may go.
        Leave();
        foreach (int page in new[] { _enclave.TcsPage, _enclave.DataPage }.Concat(_enclave.SsaPages))
        {
            Assert.Equal(LeafResult.FromError(SgxError.SGX_CHILD_PRESENT), ERemove.Execute(Processor, _enclave.SecsPage));
            Assert.Equal(LeafResult.Ok, ERemove.Execute(Processor, page));
        }

        Assert.Equal(LeafResult.Ok, ERemove.Execute(Processor, _enclave.SecsPage));
    }

    [Fact]
    public void A_page_becomes_a_tcs_of_its_contents()
    {
        ulong address = _enclave.LastAddress;
        Tcs tcs = new() { OSsa = TestEnclave.SsaOffset, NSsa = 1, OEntry = 0x1234 };
        MemoryMarshal.Write(_platform.Frames.Frame(_enclave.LastPage), in tcs);
        Modify(PageType.PT_TCS, _enclave.LastPage);
        _enclave.Space.Map(address, _enclave.LastPage);
        LogicalProcessor second = new();
        RegisterFile registers = TestEnclave.HostRegisters();
        registers.Rbx = address;
        Assert.Equal(address, EEnter.Execute(Processor, second, ref registers, _enclave.Space).Fault.Address);
        Assert.Equal(LeafResult.Ok, ETrack.Execute(Processor, _enclave.SecsPage));
        _registers = _enclave.EnterOk();
        Assert.Equal(LeafResult.Ok, Accept(PageType.PT_TCS, SecInfoFlags.MODIFIED, address));
        Leave();

        Assert.Equal(LeafResult.Ok, EEnter.Execute(Processor, second, ref registers, _enclave.Space));
        Assert.Equal(TestPlatform.Base + 0x1234, registers.Rip);
    }

    public static TheoryData<string> BadThreads => ["reserved", "opt-in", "no frames", "aep", "state", "cet", "ssp", "zeros"];

    [Theory]
    [MemberData(nameof(BadThreads))]
    public void A_page_that_can_be_no_tcs_is_not_accepted(string what)
    {
        Tcs tcs = new() { NSsa = 1 };
        switch (what)
        {
            case "reserved": tcs.Reserved[4007] = 1; break;
            case "opt-in": tcs.Flags = TcsFlags.DBGOPTIN; break;
            case "no frames": tcs.CSsa = 1; break;
            case "aep": tcs.Aep = 1; break;
            case "state": tcs.State = Tcs.Active; break;
            case "cet": tcs.OCetSsa = 16; break;
            case "ssp": tcs.PrevSsp = 8; break;
            case "zeros": tcs = default; break;
        }

        MemoryMarshal.Write(_platform.Frames.Frame(_enclave.LastPage), in tcs);
        Modify(PageType.PT_TCS, _enclave.LastPage);
        Assert.Equal(LeafResult.Ok, ETrack.Execute(Processor, _enclave.SecsPage));
        _registers = _enclave.EnterOk();
        Assert.Equal(s_gp, Accept(PageType.PT_TCS, SecInfoFlags.MODIFIED, _enclave.LastAddress));
        Assert.True(Epcm.IsModified(_enclave.LastPage));
    }

    [Fact]
    public void Checks_of_emodt_come_in_the_manuals_order()
    {
        SecInfo bad = SecInfo.For(PageType.PT_TRIM, (SecInfoFlags)0x80);
        SecInfo regular = SecInfo.For(PageType.PT_REG, SecInfoFlags.R);
        SecInfo trim = SecInfo.For(PageType.PT_TRIM, SecInfoFlags.None);
        SecInfo thread = SecInfo.For(PageType.PT_TCS, SecInfoFlags.None);
        Secs secs = TestPlatform.DefaultSecs();
        int building = _platform.Create(in secs);
        int early = _platform.Add(building, 0, new byte[4096], TestPlatform.RegInfo);
        Augment();

        Assert.Equal(ExceptionVector.PF, EModT.Execute(Processor, in bad, 999).Fault.Kind);
        Assert.Equal(s_gp, EModT.Execute(Processor, in bad, 200));
        Assert.Equal(s_gp, EModT.Execute(Processor, in regular, 200));
        Assert.Equal(ExceptionVector.PF, EModT.Execute(Processor, in trim, 200).Fault.Kind);
        Assert.Equal(ExceptionVector.PF, EModT.Execute(Processor, in trim, _enclave.SecsPage).Fault.Kind);
        Assert.Equal(ExceptionVector.PF, EModT.Execute(Processor, in thread, _enclave.TcsPage).Fault.Kind);
        Assert.Equal(s_notModifiable, EModT.Execute(Processor, in trim, NewPage));
        Assert.Equal(s_gp, EModT.Execute(Processor, in trim, early));
        Assert.Equal(LeafResult.Ok, EModT.Execute(Processor, in trim, _enclave.TcsPage));
        Assert.Equal(ExceptionVector.PF, EModT.Execute(Processor, in trim, _enclave.TcsPage).Fault.Kind);
        Assert.Equal(LeafResult.Ok, EModT.Execute(Processor, in thread, _enclave.LastPage));
        Assert.Equal(s_notModifiable, EModT.Execute(Processor, in trim, _enclave.LastPage));
    }

    [Fact]
    public void A_pending_page_may_go_and_come_back_pending()
    {
        Augment();
        int array = Evicted.VersionArray(_platform);
        Evicted evicted = Evicted.Child(_platform, _enclave.SecsPage, NewPage, array, 0);
        Assert.Equal(SecInfo.For(PageType.PT_REG, ReadWrite | SecInfoFlags.PENDING).Flags, evicted.Pcmd.Value.SecInfo.Flags);
        Assert.Equal(LeafResult.Ok, evicted.Load(_platform, _enclave.SecsPage, NewPage));
        Modify(PageType.PT_TRIM, _enclave.LastPage);
        Evicted trimmed = Evicted.Child(_platform, _enclave.SecsPage, _enclave.LastPage, array, 8);
        Assert.Equal(LeafResult.Ok, trimmed.Load(_platform, _enclave.SecsPage, _enclave.LastPage));

        _registers = _enclave.EnterOk();
        Assert.Equal(LeafResult.Ok, Accept(PageType.PT_REG, ReadWrite | SecInfoFlags.PENDING));
        Assert.Equal(LeafResult.Ok, Accept(PageType.PT_TRIM, SecInfoFlags.MODIFIED, _enclave.LastAddress));
    }

    [Fact]
    public void Eacceptcopy_fills_the_page_and_chooses_its_permissions()
    {
        Augment();
        _registers = _enclave.EnterOk();
        _enclave.Data.Fill(0x3C);
        SecInfo info = SecInfo.For(PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.X);

        Assert.Equal(LeafResult.Ok, Copy(info));
        Assert.Equal(0UL, _registers.Rax);
        Assert.Equal(SecInfoFlags.R | SecInfoFlags.X, Epcm.Permissions(NewPage));
        Assert.False(Epcm.IsPending(NewPage));
        Assert.Equal(_enclave.Data.ToArray(), _platform.Frames.Frame(NewPage).ToArray());
        Assert.Equal(s_mismatch, Copy(info));
        Assert.Equal(19UL, _registers.Rax);
        Assert.NotEqual(0UL, _registers.Rflags & Rflags.ZF);
    }

    [Fact]
    public void Checks_of_eacceptcopy_come_in_the_manuals_order()
    {
        Augment();
        _registers = _enclave.EnterOk();
        ulong outside = 0x1000;
        ulong unmapped = TestPlatform.Base + 0x9000;
        ulong info = TestEnclave.DataAddress;
        Put(SecInfo.For(PageType.PT_TCS, (SecInfoFlags)0x40));

        Assert.Equal(s_gp, Run(EncluLeaf.EACCEPTCOPY, info + 32, unmapped, unmapped));
        Assert.Equal(s_gp, Run(EncluLeaf.EACCEPTCOPY, unmapped, unmapped + 64, unmapped));
        Assert.Equal(s_gp, Run(EncluLeaf.EACCEPTCOPY, unmapped, unmapped, unmapped + 64));
        Assert.Equal(s_gp, Run(EncluLeaf.EACCEPTCOPY, outside, unmapped, unmapped));
        Assert.Equal(s_gp, Run(EncluLeaf.EACCEPTCOPY, unmapped, outside, unmapped));
        Assert.Equal(s_gp, Run(EncluLeaf.EACCEPTCOPY, unmapped, unmapped, outside));
        Assert.Equal(unmapped, Run(EncluLeaf.EACCEPTCOPY, unmapped, unmapped + 0x1000, unmapped + 0x2000).Fault.Address);
        Assert.Equal(unmapped, Run(EncluLeaf.EACCEPTCOPY, TestPlatform.Base, unmapped, unmapped + 0x2000).Fault.Address);
        Assert.Equal(unmapped, Run(EncluLeaf.EACCEPTCOPY, TestPlatform.Base, NewAddress, unmapped).Fault.Address);
        Assert.Equal(TestPlatform.Base, Run(EncluLeaf.EACCEPTCOPY, TestPlatform.Base, NewAddress, TestPlatform.Base).Fault.Address);
        Assert.Equal(s_gp, Run(EncluLeaf.EACCEPTCOPY, info, NewAddress, TestPlatform.Base));
        Put(SecInfo.For(PageType.PT_TCS, SecInfoFlags.W));
        Assert.Equal(s_gp, Run(EncluLeaf.EACCEPTCOPY, info, NewAddress, TestPlatform.Base));
        Put(SecInfo.For(PageType.PT_TCS, SecInfoFlags.R));
        Assert.Equal(s_gp, Run(EncluLeaf.EACCEPTCOPY, info, NewAddress, TestPlatform.Base));
        Put(SecInfo.For(PageType.PT_REG, SecInfoFlags.R));
        Assert.Equal(TestPlatform.Base, Run(EncluLeaf.EACCEPTCOPY, info, _enclave.LastAddress, TestPlatform.Base).Fault.Address);
        Assert.Equal(s_mismatch, Run(EncluLeaf.EACCEPTCOPY, info, _enclave.LastAddress, info & ~4095UL));
        Assert.Equal(LeafResult.Ok, EBlock.Execute(Processor, NewPage));
        Assert.Equal(s_mismatch, Run(EncluLeaf.EACCEPTCOPY, info, NewAddress, info & ~4095UL));
    }

    public static TheoryData<string> NotToBeFilled => ["not valid", "not pending", "modified", "type", "enclave", "blocked"];

    [Theory]
    [MemberData(nameof(NotToBeFilled))]
    public void Eacceptcopy_tells_a_mismatch_before_a_conflict(string what)
    {
        const SecInfoFlags Added = ReadWrite | SecInfoFlags.PENDING;
        Secs secs = TestPlatform.DefaultSecs();
        int other = _platform.Create(in secs);
        int own = _enclave.SecsPage;
        _enclave.Space.Map(NewAddress, NewPage);
        _registers = _enclave.EnterOk();

        Assert.True(Epcm.TryLockExclusive(NewPage));
        switch (what)
        {
            case "not valid": Epcm.Clear(NewPage); break;
            case "not pending": Epcm.Set(NewPage, PageType.PT_REG, ReadWrite, NewAddress, own); break;
            case "modified": Epcm.Set(NewPage, PageType.PT_REG, Added | SecInfoFlags.MODIFIED, NewAddress, own); break;
            case "type": Epcm.Set(NewPage, PageType.PT_TRIM, Added, NewAddress, own); break;
            case "enclave": Epcm.Set(NewPage, PageType.PT_REG, Added, NewAddress, other); break;
            case "blocked": Epcm.Set(NewPage, PageType.PT_REG, Added, NewAddress, own, blocked: true); break;
        }

        Assert.Equal(s_mismatch, Copy(TestPlatform.RegInfo));
        Epcm.Set(NewPage, PageType.PT_REG, Added, NewAddress, own);
        Assert.Equal(s_gp, Copy(TestPlatform.RegInfo));
        Epcm.UnlockExclusive(NewPage);
        Assert.Equal(LeafResult.Ok, Copy(TestPlatform.RegInfo));
    }

    [Fact]
    public void Eacceptcopy_fills_no_page_at_another_address_or_with_other_permissions()
    {
        const ulong Elsewhere = NewAddress + 0x1000;
        Augment();
        _enclave.Space.Map(Elsewhere, NewPage);
        _registers = _enclave.EnterOk();
        Put(TestPlatform.RegInfo);
        Assert.Equal(s_mismatch, Run(EncluLeaf.EACCEPTCOPY, TestEnclave.DataAddress, Elsewhere, TestEnclave.DataAddress));

        Epcm.Set(NewPage, PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.PENDING, NewAddress, _enclave.SecsPage);
        Assert.Equal(s_mismatch, Copy(TestPlatform.RegInfo));
        Assert.True(Epcm.IsPending(NewPage));
        Assert.True(Bytes.IsZero(_platform.Frames.Frame(NewPage)));
    }

    [Fact]
    public void Emodpe_adds_permissions_and_changes_no_register()
    {
        _registers = _enclave.EnterOk();
        Put(SecInfo.For(PageType.PT_REG, SecInfoFlags.X));
        Assert.Equal(LeafResult.Ok, Run(EncluLeaf.EMODPE, TestEnclave.DataAddress, _enclave.LastAddress));
        Assert.Equal(SecInfoFlags.RWX, Epcm.Permissions(_enclave.LastPage));
        Assert.Equal((ulong)EncluLeaf.EMODPE, _registers.Rax);
        Assert.False(Epcm.IsPermissionRestricted(_enclave.LastPage));

        SecInfo none = SecInfo.For(PageType.PT_REG, SecInfoFlags.None);
        Assert.Equal(LeafResult.Ok, EModPr.Execute(Processor, in none, _enclave.LastPage));
        Put(SecInfo.For(PageType.PT_REG, SecInfoFlags.W));
        Assert.Equal(s_gp, Run(EncluLeaf.EMODPE, TestEnclave.DataAddress, _enclave.LastAddress));
        Put(SecInfo.For(PageType.PT_REG, SecInfoFlags.R));
        Assert.Equal(LeafResult.Ok, Run(EncluLeaf.EMODPE, TestEnclave.DataAddress, _enclave.LastAddress));
        Put(SecInfo.For(PageType.PT_REG, SecInfoFlags.W));
        Assert.Equal(LeafResult.Ok, Run(EncluLeaf.EMODPE, TestEnclave.DataAddress, _enclave.LastAddress));
        Assert.Equal(ReadWrite, Epcm.Permissions(_enclave.LastPage));
        Assert.True(Epcm.IsPermissionRestricted(_enclave.LastPage));
    }

    [Fact]
    public void Checks_of_emodpe_come_in_the_manuals_order()
    {
        Augment();
        _registers = _enclave.EnterOk();
        ulong outside = 0x1000;
        ulong unmapped = TestPlatform.Base + 0x9000;
        ulong info = TestEnclave.DataAddress;
        Put(SecInfo.For(PageType.PT_REG, (SecInfoFlags)0x40));

        Assert.Equal(s_gp, Run(EncluLeaf.EMODPE, unmapped + 32, unmapped));
        Assert.Equal(s_gp, Run(EncluLeaf.EMODPE, unmapped, unmapped + 64));
        Assert.Equal(s_gp, Run(EncluLeaf.EMODPE, outside, unmapped));
        Assert.Equal(s_gp, Run(EncluLeaf.EMODPE, unmapped, outside));
        Assert.Equal(unmapped, Run(EncluLeaf.EMODPE, unmapped, unmapped + 0x1000).Fault.Address);
        Assert.Equal(unmapped, Run(EncluLeaf.EMODPE, TestPlatform.Base, unmapped).Fault.Address);
        Assert.Equal(TestPlatform.Base, Run(EncluLeaf.EMODPE, TestPlatform.Base, NewAddress).Fault.Address);
        Assert.Equal(s_gp, Run(EncluLeaf.EMODPE, info, NewAddress));
        Put(SecInfo.For(PageType.PT_REG, SecInfoFlags.X));
        Assert.Equal(NewAddress, Run(EncluLeaf.EMODPE, info, NewAddress).Fault.Address);
        Assert.Equal(TestPlatform.Base, Run(EncluLeaf.EMODPE, info, TestPlatform.Base).Fault.Address);
        _enclave.Space.Map(unmapped, _enclave.LastPage);
        Assert.Equal(unmapped, Run(EncluLeaf.EMODPE, info, unmapped).Fault.Address);
    }

    [Fact]
    public void Leaves_that_modify_a_page_exclude_each_other()
    {
        Augment();
        _registers = _enclave.EnterOk();
        SecInfo readable = SecInfo.For(PageType.PT_REG, SecInfoFlags.R);
        SecInfo trim = SecInfo.For(PageType.PT_TRIM, SecInfoFlags.None);

        // Another of them has the page, shared: each tells of it in its own way. Others may share the page.
        Assert.True(Epcm.TryLockShared(NewPage));
        Assert.True(Epcm.TryBeginModifying(NewPage));
        Assert.Equal(s_gp, Accept(PageType.PT_REG, ReadWrite | SecInfoFlags.PENDING));
        Assert.Equal(s_gp, Copy(readable));
        Assert.Equal(s_conflict, EModPr.Execute(Processor, in readable, NewPage));
        Assert.Equal(s_conflict, EModT.Execute(Processor, in trim, NewPage));
        Assert.Equal(LeafResult.FromError(SgxError.SGX_PAGE_NOT_DEBUGGABLE), EDbgRd.Execute(Processor, NewPage, 0, out _));
        Epcm.EndModifying(NewPage);
        Epcm.UnlockShared(NewPage);

        Assert.True(Epcm.TryLockShared(_enclave.LastPage));
        Assert.True(Epcm.TryBeginModifying(_enclave.LastPage));
        Put(readable);
        Assert.Equal(s_gp, Run(EncluLeaf.EMODPE, TestEnclave.DataAddress, _enclave.LastAddress));
        Assert.Equal(LeafResult.Ok, EBlock.Execute(Processor, _enclave.LastPage));
        Epcm.EndModifying(_enclave.LastPage);
        Epcm.UnlockShared(_enclave.LastPage);

        // A leaf that writes the page has it exclusively.
        Assert.True(Epcm.TryLockExclusive(NewPage));
        Assert.Equal(s_gp, Accept(PageType.PT_REG, ReadWrite | SecInfoFlags.PENDING));
        Assert.Equal(s_gp, Copy(readable));
        Assert.Equal(s_gp, EModPr.Execute(Processor, in readable, NewPage));
        Assert.Equal(s_conflict, EModT.Execute(Processor, in trim, NewPage));
        Epcm.UnlockExclusive(NewPage);
        Assert.Equal(LeafResult.Ok, Accept(PageType.PT_REG, ReadWrite | SecInfoFlags.PENDING));
    }

    [Fact]
    public void Dynamic_memory_allocates_nothing()
    {
        SecInfo trim = SecInfo.For(PageType.PT_TRIM, SecInfoFlags.None);
        void Cycle()
        {
            for (int i = 0; i < 50; i++)
            {
                EAug.Execute(Processor, null, NewAddress, _enclave.SecsPage, NewPage);
                RegisterFile registers = TestEnclave.HostRegisters();
                _enclave.Enter(ref registers);
                Put(SecInfo.For(PageType.PT_REG, ReadWrite | SecInfoFlags.PENDING));
                Set(ref registers, EncluLeaf.EACCEPT, TestEnclave.DataAddress, NewAddress);
                _enclave.Enclu(ref registers);
                EModT.Execute(Processor, in trim, NewPage);
                ETrack.Execute(Processor, _enclave.SecsPage);
                registers.Rbx = 0x1000;
                EExit.Execute(Processor, _enclave.Logical, ref registers);
                registers = TestEnclave.HostRegisters();
                _enclave.Enter(ref registers);
                Put(SecInfo.For(PageType.PT_TRIM, SecInfoFlags.MODIFIED));
                Set(ref registers, EncluLeaf.EACCEPT, TestEnclave.DataAddress, NewAddress);
                _enclave.Enclu(ref registers);
                ERemove.Execute(Processor, NewPage);
                registers.Rbx = 0x1000;
                EExit.Execute(Processor, _enclave.Logical, ref registers);
            }
        }

        _enclave.Space.Map(NewAddress, NewPage);
        Cycle();
        long before = GC.GetAllocatedBytesForCurrentThread();
        Cycle();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
        Assert.False(Epcm.IsValid(NewPage));
        Assert.False(_enclave.Logical.InEnclave);
    }

    private static void Set(ref RegisterFile registers, EncluLeaf leaf, ulong rbx, ulong rcx, ulong rdx = 0)
    {
        registers.Rax = (ulong)leaf;
        registers.Rbx = rbx;
        registers.Rcx = rcx;
        registers.Rdx = rdx;
    }

    private void Augment()
    {
        Assert.Equal(LeafResult.Ok, EAug.Execute(Processor, null, NewAddress, _enclave.SecsPage, NewPage));
        _enclave.Space.Map(NewAddress, NewPage);
    }

    private void Modify(PageType type, int page)
    {
        SecInfo info = SecInfo.For(type, SecInfoFlags.None);
        Assert.Equal(LeafResult.Ok, EModT.Execute(Processor, in info, page));
    }

    private void Put(SecInfo info) => MemoryMarshal.Write(_enclave.Data, in info);

    private LeafResult Run(EncluLeaf leaf, ulong rbx, ulong rcx, ulong rdx = 0)
    {
        Set(ref _registers, leaf, rbx, rcx, rdx);
        return _enclave.Enclu(ref _registers);
    }

    private LeafResult Accept(PageType type, SecInfoFlags flags, ulong address = NewAddress)
    {
        Put(SecInfo.For(type, flags));
        _registers.Rax = (ulong)EncluLeaf.EACCEPT;
        _registers.Rbx = TestEnclave.DataAddress;
        _registers.Rcx = address;
        return EAccept.Execute(Processor, _enclave.Logical, ref _registers, _enclave.Space);
    }

    private LeafResult Copy(SecInfo info)
    {
        Put(info);
        return Run(EncluLeaf.EACCEPTCOPY, TestEnclave.DataAddress, NewAddress, TestEnclave.DataAddress);
    }

    /// <summary>EGETKEY that writes its key to <paramref name="address"/>: a use of the page by the enclave.</summary>
    private LeafResult Key(ulong address)
    {
        _enclave.Data[..512].Clear();
        KeyRequest request = new() { KeyName = KeyName.SEAL_KEY };
        MemoryMarshal.Write(_enclave.Data, in request);
        return Run(EncluLeaf.EGETKEY, TestEnclave.DataAddress, address);
    }

    private void Leave()
    {
        _registers.Rbx = 0x1000;
        Assert.Equal(LeafResult.Ok, EExit.Execute(Processor, _enclave.Logical, ref _registers));
    }
}
