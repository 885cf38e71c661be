using System.Reflection;
using SoftSgx.Architecture;
using SoftSgx.Kernel.Tracing;
using SoftSgx.Processor;
using SoftSgx.Tests;

namespace SoftSgx.Kernel.Tests;

/// <summary>Events of leaves, ioctls and paging: all are there, and what they say is explained.</summary>
public class TraceTests
{
    private readonly ListTrace _trace = new();

    [Fact]
    public void Every_leaf_of_the_kernel_has_an_event_with_its_name_from_the_table()
    {
        var machine = new Machine();
        machine.Encls.Script = static (_, _) => LeafResult.FromError(SgxError.SGX_EPC_PAGE_CONFLICT);
        IEncls encls = new TracingEncls(machine.Encls, machine.Processor, _trace);
        SecInfo secInfo = Machine.RegRw;
        Pcmd pcmd = default;
        encls.ECreate(new byte[4096], 1);
        encls.EAdd(new byte[4096], in secInfo, 0x1000, 1, 2);
        encls.EExtend(1, 2, 256);
        encls.EInit(new LogicalProcessor(), new byte[SigStruct.Size], 1, new byte[EInitToken.Size]);
        encls.ERemove(2);
        encls.EPa(3);
        encls.EBlock(2);
        encls.ETrack(1);
        encls.EWb(new byte[4096], out _, out _, 2, 3, 8);
        encls.ELdu(new byte[4096], in pcmd, 0x1000, 1, 2, 3, 8);
        encls.EAug(0x1000, 1, 2);
        encls.EModPr(in secInfo, 2);
        encls.EModT(in secInfo, 2);
        encls.EDbgRd(2, 8, out _);
        encls.EDbgWr(1, 2, 8);

        Assert.Equal(typeof(IEncls).GetMethods().Length, _trace.Events.Count);
        Assert.Equal(_trace.Events.Count, _trace.Events.Select(static e => e.Name).Distinct().Count());
        Assert.All(_trace.Events, static e =>
        {
            Assert.Contains(LeafTable.All, leaf => leaf.Kind == LeafKind.ENCLS && leaf.Name == e.Name);
            Assert.Equal((7L, "SGX_EPC_PAGE_CONFLICT"), (e.Returned, e.Error));
        });
        AssertExplained();
    }

    [Fact]
    public void Every_operand_of_ENCLU_has_a_field()
        => Assert.All(LeafTable.All.Where(static leaf => leaf.Kind == LeafKind.ENCLU && leaf.Support == LeafSupport.Implemented), static leaf =>
        {
            foreach (string operand in ((string[])[leaf.Rbx, leaf.Rcx, leaf.Rdx]).Where(static operand => operand.Length > 0))
            {
                TraceDocument.AssertField(TransitionTrace.FieldName(operand));
            }
        });

    [Theory]
    [InlineData(IoctlTable.SGX_IOC_ENCLAVE_CREATE, typeof(SgxEnclaveCreate), "src", "")]
    [InlineData(IoctlTable.SGX_IOC_ENCLAVE_ADD_PAGES, typeof(SgxEnclaveAddPages), "src offset length secInfo flags", "count")]
    [InlineData(IoctlTable.SGX_IOC_ENCLAVE_ADD_PAGE, typeof(SgxEnclaveAddPage), "addr src secInfo mrMask", "")]
    [InlineData(IoctlTable.SGX_IOC_ENCLAVE_INIT, typeof(SgxEnclaveInit), "sigStruct", "")]
    [InlineData(IoctlTable.SGX_IOC_ENCLAVE_PROVISION, typeof(SgxEnclaveProvision), "provisionFd", "")]
    [InlineData(IoctlTable.SGX_IOC_ENCLAVE_RESTRICT_PERMISSIONS, typeof(SgxEnclaveRestrictPermissions), "offset length permissions", "result count")]
    [InlineData(IoctlTable.SGX_IOC_ENCLAVE_MODIFY_TYPES, typeof(SgxEnclaveModifyTypes), "offset length pageType", "result count")]
    [InlineData(IoctlTable.SGX_IOC_ENCLAVE_REMOVE_PAGES, typeof(SgxEnclaveRemovePages), "offset length", "count")]
    public void An_ioctl_says_every_member_of_its_struct(uint command, Type type, string before, string after)
    {
        var machine = new Machine();
        IoctlEntry entry = IoctlTable.Entries.Single(e => e.Command == command);
        var e = new TraceEvent(TraceKinds.Call, "ioctl");
        entry.DescribeRequest(e, Machine.ArgumentAddress, machine.Memory);
        Assert.Equal(before.Split(' '), e.Fields.Select(static field => field.Name));
        e.Part = TracePart.Result;
        entry.DescribeAnswer(e, Machine.ArgumentAddress, machine.Memory);
        Assert.Equal(after, string.Join(' ', e.Fields.Where(static field => field.Part == TracePart.Result).Select(static field => field.Name)));
        int members = type.GetFields(BindingFlags.Public | BindingFlags.Instance).Count(static field => field.Name != "Reserved");
        Assert.Equal(members, e.Fields.Count);
        Assert.All(e.Fields, static field => TraceDocument.AssertField(field.Name));
    }

    [Fact]
    public void What_cannot_be_read_is_an_address()
        => Assert.All(IoctlTable.Entries, static entry =>
        {
            var e = new TraceEvent(TraceKinds.Call, "ioctl");
            entry.DescribeRequest(e, Machine.Unmapped, new Machine().Memory);
            entry.DescribeAnswer(e, Machine.Unmapped, new Machine().Memory);
            TraceField field = Assert.Single(e.Fields);
            Assert.Equal(("argument", Machine.Unmapped, TracePart.Operand), (field.Name, field.Value, field.Part));
        });

    [Fact]
    public void A_page_that_goes_and_comes_is_seen_step_by_step()
    {
        var machine = new Machine(trace: _trace);
        Enclave enclave = TestEnclave.BuildInitialized(machine);
        _trace.Events.Clear();
        machine.EvictAll();
        string[] lines = [.. _trace.Events.Select(ListTrace.Text)];
        Assert.Contains(lines, static line => line.StartsWith("EWB(epcPage=", StringComparison.Ordinal) && line.Contains("linearAddress=+8000, type=REG", StringComparison.Ordinal) && line.EndsWith("= 0 {}", StringComparison.Ordinal));
        Assert.Contains(lines, static line => line.StartsWith("evict(address=+8000, type=REG, epcPage=", StringComparison.Ordinal));
        Assert.StartsWith("evict(type=SECS", lines[^1], StringComparison.Ordinal);

        _trace.Events.Clear();
        Assert.Equal(FaultOutcome.Present, enclave.HandleFault(Machine.EnclaveBase + TestEnclave.HeapOffset, PageProtection.Read, null));
        Assert.Equal(["ELDU", "load", "ELDU", "load"], _trace.Events.Select(static e => e.Name));
        Assert.Contains("type=SECS", ListTrace.Text(_trace.Events[1]), StringComparison.Ordinal);
        AssertExplained();
    }

    [Fact]
    public void Leaves_of_SGX2_say_what_they_accept()
    {
        var machine = new Machine(configuration: new ProcessorConfiguration { Sgx2 = true }, trace: _trace);
        Enclave enclave = TestEnclave.BuildInitialized(machine);
        var thread = new InsideThread(machine, enclave);
        enclave.AddAddressSpace(thread);
        thread.Enter();
        Assert.Equal(FaultOutcome.Refused, thread.Touch(0x10_0000));
        thread.Accept(0x10_0000, PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.W | SecInfoFlags.PENDING);
        thread.Accept(0x10_0000, PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.PENDING);
        thread.Exit();
        string[] enclu = [.. _trace.Events.Where(static e => e.Kind == TraceKinds.Enclu).Select(ListTrace.Text)];
        Assert.Equal(
            [
                "EENTER(tcs=+1000, aep=0x1000) = 0 {cssa=0}",
                "EACCEPT(secInfoAddress=+8040, secInfo=REG rw- PENDING, page=+100000) = 0 {}",
                "EACCEPT(secInfoAddress=+8040, secInfo=REG r-- PENDING, page=+100000) = 19 SGX_PAGE_ATTRIBUTES_MISMATCH{}",
                "EEXIT(target=0x2000, aep=0x1000) = 0 {}",
            ],
            enclu);
        Assert.Contains(_trace.Events, static e => e.Name == "EAUG" && ListTrace.Text(e).Contains("linearAddress=+100000", StringComparison.Ordinal));
        AssertExplained();
    }

    [Fact]
    public void An_exit_says_where_and_why_and_a_failed_entry_what_became_of_the_fault()
    {
        var machine = new Machine(trace: _trace);
        Enclave enclave = TestEnclave.BuildInitialized(machine);
        var thread = new InsideThread(machine, enclave);
        thread.Enter(0x9000);
        thread.Enter();
        _trace.Events.RemoveAll(static e => e.Kind == TraceKinds.Encls);
        thread.Registers.Rip = Machine.EnclaveBase + 0x123;
        machine.Kernel.ExitAsynchronously(
            thread.Logical, ref thread.Registers, new byte[4096], new ExitEvent(true, 14, false, 6, Machine.EnclaveBase + 0x5000));
        Assert.Equal(
            [
                "fault(address=+9000, access=processor, enclave=1) = - {outcome=Absent}",
                "EENTER(tcs=+9000, aep=0x1000) = - #PF{errorCode=U, address=+9000, outcome=Absent}",
                "EENTER(tcs=+1000, aep=0x1000) = 0 {cssa=0}",
                "#PF(errorCode=W|U, address=+5000, rip=+123, tcs=+1000) = - {}",
            ],
            _trace.Events.Where(static e => e.Kind != TraceKinds.Paging).Select(ListTrace.Text));
        AssertExplained();
    }

    [Fact]
    public void Kinds_that_nobody_wants_are_not_made()
    {
        var trace = new ListTrace(TraceKinds.Paging);
        var machine = new Machine(trace: trace);
        Enclave enclave = TestEnclave.BuildInitialized(machine);
        var thread = new InsideThread(machine, enclave);
        thread.Enter();
        thread.Exit();
        machine.EvictAll();
        Assert.Equal(TestEnclave.Pages + 1, trace.Events.Count(static e => e.Name == "evict"));
    }

    [Theory]
    [InlineData(0x203UL, "REG rw-")]
    [InlineData(0x100UL, "TCS ---")]
    [InlineData(0x20bUL, "REG rw- PENDING")]
    [InlineData(0x0905UL, "type 9 r-x")]
    [InlineData(0x10000000203UL, "REG rw- reserved")]
    public void A_SECINFO_reads_well(ulong flags, string text)
    {
        var secInfo = new SecInfo { Flags = (SecInfoFlags)flags };
        Assert.Equal(text, TraceNames.Of(in secInfo));
    }

    [Fact]
    public void Flags_are_names_and_what_has_none_is_a_number()
    {
        Assert.Equal("DEBUG|MODE64BIT|0x8000", TraceNames.Flags(AttributeFlags.DEBUG | AttributeFlags.MODE64BIT | (AttributeFlags)0x8000));
        Assert.Equal("0", TraceNames.Flags(AttributeFlags.None));
        Assert.Equal("X87|SSE|AVX", TraceNames.Flags((XFeatureMask)7));
        Assert.Equal("P|W|U|SGX", TraceNames.Of((PageFaultError)0x8007));
        Assert.Equal("#PF", TraceNames.OfVector(14));
        Assert.Equal("#99", TraceNames.OfVector(99));
        Assert.Equal("SGX error 5555", TraceNames.Of((SgxError)5555));
    }

    private void AssertExplained()
        => Assert.All(_trace.Events.SelectMany(static e => e.Fields), static field => TraceDocument.AssertField(field.Name));
}
