using System.Diagnostics.CodeAnalysis;
using SoftSgx.Architecture;
using SoftSgx.Kernel;
using SoftSgx.Processor;

namespace SoftSgx.Simulation;

/// <summary>
/// A thread with a logical processor of its own that goes into an enclave by a TCS, accesses pages from inside, and comes out. A page
/// fault inside is an asynchronous exit, the kernel's handling of it, and ERESUME, as on hardware.
/// </summary>
public sealed class EnclaveThread : IProcessAddressSpace
{
    private const ulong OutsideAddress = 0x1000;
    private const ulong InitialFlags = 0x202;

    private readonly SimulatedEnclave _enclave;
    private readonly SimulatedAddressSpace _space;
    private readonly ulong _tcsAddress;
    private readonly LogicalProcessor _logical = new();
    private readonly byte[] _xsave;
    private RegisterFile _registers;

    /// <summary>A thread outside.</summary>
    /// <param name="space">The address space that it runs in.</param>
    /// <param name="tcsPage">Page index of its TCS.</param>
    public EnclaveThread(SimulatedAddressSpace space, ulong tcsPage)
    {
        ArgumentNullException.ThrowIfNull(space);
        _space = space;
        _enclave = space.Enclave;
        _tcsAddress = _enclave.Kernel.Base + (tcsPage * EpcPool.PageSize);
        _xsave = new byte[_enclave.Machine.Processor.Configuration.XsaveLayout.SizeFor(SimulatedEnclave.XFrm)];
    }

    /// <summary>The thread is inside.</summary>
    public bool IsInside => _logical.InEnclave;

    /// <summary>EENTER.</summary>
    /// <returns>
    /// <see cref="FaultOutcome.Present"/> if it is inside now, else why a page that EENTER needs is not there.
    /// </returns>
    public FaultOutcome Enter()
    {
        _registers = new RegisterFile
        {
            Rax = (ulong)EncluLeaf.EENTER,
            Rbx = _tcsAddress,
            Rcx = OutsideAddress,
            Rip = OutsideAddress,
            Rflags = InitialFlags,
        };
        return Execute();
    }

    /// <summary>EEXIT.</summary>
    public void Leave()
    {
        _registers.Rax = (ulong)EncluLeaf.EEXIT;
        _registers.Rbx = OutsideAddress;
        Execute();
    }

    /// <summary>Reads a page from inside.</summary>
    /// <param name="page">Page index.</param>
    /// <param name="destination">4,096 bytes.</param>
    /// <returns><see cref="FaultOutcome.Present"/>, or why it failed; the thread is outside then.</returns>
    public FaultOutcome Read(ulong page, Span<byte> destination)
    {
        while (!_space.TryRead(page, destination))
        {
            if (Fault(page) is var outcome and not FaultOutcome.Present)
            {
                return outcome;
            }
        }

        return FaultOutcome.Present;
    }

    /// <summary>Writes a page from inside.</summary>
    /// <param name="page">Page index.</param>
    /// <param name="contents">4,096 bytes.</param>
    /// <returns><see cref="FaultOutcome.Present"/>, or why it failed; the thread is outside then.</returns>
    public FaultOutcome Write(ulong page, ReadOnlySpan<byte> contents)
    {
        while (!_space.TryWrite(page, contents))
        {
            if (Fault(page) is var outcome and not FaultOutcome.Present)
            {
                return outcome;
            }
        }

        return FaultOutcome.Present;
    }

    /// <summary>An interrupt: asynchronous exit and ERESUME.</summary>
    /// <returns><see cref="FaultOutcome.Present"/>, or why ERESUME failed; the thread is outside then.</returns>
    public FaultOutcome Interrupt()
    {
        _enclave.Machine.Kernel.ExitAsynchronously(_logical, ref _registers, _xsave, ExitEvent.Interrupt);
        return Resume();
    }

    /// <inheritdoc/>
    public bool TryTranslate(ulong address, AccessKind access, out int epcPage, out PageFaultError faultError)
    {
        faultError = PageFaultError.User | (access == AccessKind.Write ? PageFaultError.Write : PageFaultError.None);
        epcPage = -1;
        if (address - _enclave.Kernel.Base >= _enclave.Size)
        {
            return true;
        }

        epcPage = _enclave.Kernel.EpcPageAt(address);
        return epcPage >= 0;
    }

    /// <inheritdoc/>
    public bool TryFindMapping(ulong address, [NotNullWhen(true)] out Enclave? enclave, out PageProtection protection)
    {
        bool found = address - _enclave.Kernel.Base < _enclave.Size;
        enclave = found ? _enclave.Kernel : null;
        protection = found ? _enclave.Kernel.MaximumProtection(address) : PageProtection.None;
        return found;
    }

    private FaultOutcome Fault(ulong page)
    {
        ulong address = _enclave.Kernel.Base + (page * EpcPool.PageSize);
        ExitEvent e = new(IsException: true, (byte)ExceptionVector.PF, IsSoftware: false, (uint)PageFaultError.User, address);
        _enclave.Machine.Kernel.ExitAsynchronously(_logical, ref _registers, _xsave, in e);
        FaultOutcome outcome = _space.HandleFault(page);
        return outcome == FaultOutcome.Present ? Resume() : outcome;
    }

    private FaultOutcome Resume()
    {
        // The synthetic state has RAX = ERESUME, RBX = TCS, RCX = AEP already.
        return Execute();
    }

    private FaultOutcome Execute()
    {
        LeafResult result = _enclave.Machine.Kernel.ExecuteEnclu(
            _enclave.Kernel, _logical, ref _registers, this, _xsave, out FaultOutcome outcome);
        if (result.IsSuccess)
        {
            return FaultOutcome.Present;
        }

        return result.Status == LeafStatus.Fault && result.Fault.Kind == ExceptionVector.PF && outcome != FaultOutcome.Present
            ? outcome
            : throw new InvalidOperationException($"ENCLU failed: {result}, {outcome}.");
    }
}
