using System.Diagnostics.CodeAnalysis;
using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Kernel.Tests;

/// <summary>A thread of the test enclave: it maps the whole enclave, goes in by its TCS, and executes ENCLU there.</summary>
internal sealed class InsideThread(Machine machine, Enclave enclave) : IEnclaveAddressSpace, IProcessAddressSpace
{
    private const ulong SecInfoAddress = Machine.EnclaveBase + TestEnclave.HeapOffset + 64;

    public LogicalProcessor Logical { get; } = new();

    public RegisterFile Registers;

    /// <summary>What the mapping of the enclave asks for; null: of each page as much as it may have.</summary>
    public PageProtection? Mapping { get; set; }

    /// <summary>The enclave is mapped.</summary>
    public bool IsMapped { get; set; } = true;

    /// <summary>What became of the last page fault of ENCLU.</summary>
    public FaultOutcome Outcome { get; private set; }

    public List<ulong> Zapped { get; } = [];

    public List<(ulong Offset, PageProtection Epcm)> Restricted { get; } = [];

    public LeafResult Enter(ulong tcsOffset = TestEnclave.TcsOffset)
    {
        Registers = new RegisterFile { Rbx = Machine.EnclaveBase + tcsOffset, Rcx = 0x1000 };
        return Execute(EncluLeaf.EENTER);
    }

    public LeafResult Accept(ulong offset, PageType type, SecInfoFlags state)
        => WithSecInfo(EncluLeaf.EACCEPT, offset, SecInfo.For(type, state));

    public LeafResult Extend(ulong offset, SecInfoFlags permissions)
        => WithSecInfo(EncluLeaf.EMODPE, offset, SecInfo.For(PageType.PT_REG, permissions));

    public LeafResult AcceptCopy(ulong offset, ulong source, SecInfoFlags permissions)
    {
        Registers.Rdx = Machine.EnclaveBase + source;
        return WithSecInfo(EncluLeaf.EACCEPTCOPY, offset, SecInfo.For(PageType.PT_REG, permissions));
    }

    public void Exit()
    {
        Registers.Rbx = 0x2000;
        Assert.Equal(LeafResult.Ok, Execute(EncluLeaf.EEXIT));
    }

    public FaultOutcome Touch(ulong offset, PageProtection mapping = PageProtection.Read | PageProtection.Write)
        => enclave.HandleFault(Machine.EnclaveBase + offset, mapping, this);

    public void TestAndClearAccessed(ReadOnlySpan<ulong> offsets, Span<bool> accessed)
    {
    }

    public void Zap(ReadOnlySpan<ulong> offsets) => Zapped.AddRange(offsets);

    public void Restrict(ulong offset, PageProtection epcm) => Restricted.Add((offset, epcm));

    public bool TryTranslate(ulong address, AccessKind access, out int epcPage, out PageFaultError error)
    {
        epcPage = enclave.EpcPageAt(address);
        error = PageFaultError.User | (access == AccessKind.Write ? PageFaultError.Write : PageFaultError.None);
        return epcPage >= 0;
    }

    public bool TryFindMapping(ulong address, [NotNullWhen(true)] out Enclave? found, out PageProtection protection)
    {
        PageProtection maximum = enclave.MaximumProtection(address);
        found = IsMapped ? enclave : null;
        protection = Mapping ?? (maximum == PageProtection.None ? PageProtection.Read | PageProtection.Write : maximum);
        return IsMapped;
    }

    private LeafResult WithSecInfo(EncluLeaf leaf, ulong offset, in SecInfo secInfo)
    {
        Assert.Equal(FaultOutcome.Present, enclave.HandleFault(SecInfoAddress, PageProtection.Read, null));
        Bytes.Of(in secInfo).CopyTo(machine.Platform.Frame(enclave.EpcPageAt(SecInfoAddress))[64..]);
        Registers.Rbx = SecInfoAddress;
        Registers.Rcx = Machine.EnclaveBase + offset;
        return Execute(leaf);
    }

    private LeafResult Execute(EncluLeaf leaf)
    {
        Registers.Rax = (ulong)leaf;
        LeafResult result = machine.Kernel.ExecuteEnclu(enclave, Logical, ref Registers, this, default, out FaultOutcome outcome);
        Outcome = outcome;
        return result;
    }
}
