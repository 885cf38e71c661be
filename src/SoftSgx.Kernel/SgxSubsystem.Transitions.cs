using System.Collections.Concurrent;
using SoftSgx.Architecture;
using SoftSgx.Kernel.Tracing;
using SoftSgx.Processor;

namespace SoftSgx.Kernel;

/// <content>
/// Transitions of logical processors, in step with paging: no page changes hands while a leaf is at work, pages that are out are
/// loaded, and the kernel knows who is inside.
/// </content>
public sealed partial class SgxSubsystem
{
    private readonly ConcurrentDictionary<LogicalProcessor, Enclave> _inside = new();
    private readonly Lock _nobody = new(); // of a leaf that names no enclave

    /// <summary>Executes ENCLU; a #PF on a page that can be loaded is handled and the leaf repeated.</summary>
    /// <param name="enclave">
    /// The enclave that RBX names (EENTER, ERESUME), or <see langword="null"/> if it names none; not looked at inside an enclave.
    /// </param>
    /// <param name="logical">The logical processor.</param>
    /// <param name="registers">Its registers, see <see cref="Enclu.Execute"/>.</param>
    /// <param name="space">Its page tables.</param>
    /// <param name="xsave">Its XSAVE image.</param>
    /// <param name="outcome">
    /// For a result that is #PF: what became of the page fault; <see cref="FaultOutcome.Present"/> if the page is there and the
    /// processor refuses all the same.
    /// </param>
    /// <returns>What the leaf returned the last time.</returns>
    public LeafResult ExecuteEnclu(
        Enclave? enclave,
        LogicalProcessor logical,
        ref RegisterFile registers,
        IProcessAddressSpace space,
        Span<byte> xsave,
        out FaultOutcome outcome)
    {
        ArgumentNullException.ThrowIfNull(logical);
        enclave = logical.InEnclave ? _inside.GetValueOrDefault(logical) : enclave;
        if (Trace is not { } trace || !trace.Wants(TraceKinds.Enclu))
        {
            return Execute(enclave, logical, ref registers, space, xsave, out outcome);
        }

        RegisterFile before = registers;
        LeafResult result = Execute(enclave, logical, ref registers, space, xsave, out outcome);
        lock (enclave?.Lock ?? _nobody)
        {
            TransitionTrace.Executed(trace, Processor, enclave, in before, in registers, space, in result, outcome);
        }

        return result;
    }

    /// <summary>Executes a leaf of ENCLU that a thread has executed itself: as <see cref="ExecuteEnclu"/>, and a trace has been told already.</summary>
    /// <param name="enclave">The enclave.</param>
    /// <param name="logical">The logical processor.</param>
    /// <param name="registers">The registers that it had.</param>
    /// <param name="space">Its page tables.</param>
    /// <returns>What the leaf returned.</returns>
    public LeafResult CatchUp(Enclave enclave, LogicalProcessor logical, ref RegisterFile registers, IProcessAddressSpace space)
    {
        ArgumentNullException.ThrowIfNull(logical);
        return Execute(enclave, logical, ref registers, space, default, out _);
    }

    private LeafResult Execute(
        Enclave? enclave,
        LogicalProcessor logical,
        ref RegisterFile registers,
        IProcessAddressSpace space,
        Span<byte> xsave,
        out FaultOutcome outcome)
    {
        outcome = FaultOutcome.Forbidden; // no mapping of an enclave
        if (enclave is null)
        {
            return Enclu.Execute(Processor, logical, ref registers, space, xsave);
        }

        while (true)
        {
            LeafResult result = ExecuteOnce(enclave, logical, ref registers, space, xsave);
            if (result.Status != LeafStatus.Fault || result.Fault.Kind != ExceptionVector.PF)
            {
                return result;
            }

            ulong address = result.Fault.Address;
            if (!space.TryFindMapping(address, out Enclave? owner, out PageProtection mapping) || !Allows(mapping, (PageFaultError)result.Fault.ErrorCode))
            {
                outcome = FaultOutcome.Forbidden;
                return result;
            }

            if (owner.EpcPageAt(address) >= 0 && (mapping & ~owner.MaximumProtection(address)) == 0)
            {
                outcome = FaultOutcome.Present;
                return result;
            }

            long seen = Reclaimer.Progress;
            outcome = owner.HandleFault(address, mapping, null);
            if (outcome == FaultOutcome.Retry)
            {
                Reclaimer.WaitForProgress(seen, Patience);
            }
            else
            {
                Trace?.Faulted(owner, address, "processor", outcome);
                if (outcome != FaultOutcome.Present)
                {
                    return result;
                }
            }
        }
    }

    /// <summary>What an EENTER would do now, see <see cref="EntryPoint.TryDescribe"/>. Pages that are out are not loaded.</summary>
    /// <param name="enclave">The enclave.</param>
    /// <param name="logical">A logical processor outside of enclaves.</param>
    /// <param name="tcsAddress">Linear address of the TCS.</param>
    /// <param name="space">The page tables.</param>
    /// <param name="entry">What EENTER would do.</param>
    public bool TryDescribeEntry(Enclave enclave, LogicalProcessor logical, ulong tcsAddress, ILinearAddressSpace space, out EntryPoint entry)
    {
        ArgumentNullException.ThrowIfNull(enclave);
        lock (enclave.Lock)
        {
            entry = default;
            return !enclave.IsDead && EntryPoint.TryDescribe(Processor, logical, tcsAddress, space, out entry);
        }
    }

    /// <summary>An asynchronous exit, see <see cref="AsynchronousExit.Execute"/>.</summary>
    /// <param name="logical">The logical processor, inside an enclave.</param>
    /// <param name="registers">In: the enclave's. Out: the synthetic state.</param>
    /// <param name="xsave">Its XSAVE image.</param>
    /// <param name="e">What happened.</param>
    public void ExitAsynchronously(LogicalProcessor logical, ref RegisterFile registers, Span<byte> xsave, in ExitEvent e)
    {
        ArgumentNullException.ThrowIfNull(logical);
        Enclave enclave = _inside[logical];
        lock (enclave.Lock)
        {
            if (Trace is { } trace && trace.Wants(TraceKinds.Exit))
            {
                TransitionTrace.Exiting(trace, enclave, logical, in registers, in e);
            }

            AsynchronousExit.Execute(Processor, logical, ref registers, xsave, in e);
            Note(enclave, logical);
        }
    }

    /// <summary>A thread died, perhaps inside, see <see cref="AsynchronousExit.Abandon"/>.</summary>
    /// <param name="logical">The logical processor.</param>
    public void Abandon(LogicalProcessor logical)
    {
        ArgumentNullException.ThrowIfNull(logical);
        if (_inside.TryGetValue(logical, out Enclave? enclave))
        {
            lock (enclave.Lock)
            {
                if (Trace is { } trace && trace.Wants(TraceKinds.Exit))
                {
                    TransitionTrace.Abandoned(trace, enclave, logical);
                }

                AsynchronousExit.Abandon(Processor, logical);
                Note(enclave, logical);
            }
        }
    }

    // access_error in arch/x86/mm/fault.c, which comes before the driver of a mapping is asked for the page.
    private static bool Allows(PageProtection mapping, PageFaultError error)
        => (mapping & ((error & PageFaultError.Write) != 0 ? PageProtection.Write : PageProtection.Access)) != 0;

    private LeafResult ExecuteOnce(
        Enclave enclave, LogicalProcessor logical, ref RegisterFile registers, ILinearAddressSpace space, Span<byte> xsave)
    {
        lock (enclave.Lock)
        {
            bool wasInside = logical.InEnclave;
            EncluLeaf leaf = (EncluLeaf)(uint)registers.Rax;
            ulong operand = registers.Rcx;
            LeafResult result = Enclu.Execute(Processor, logical, ref registers, space, xsave);
            if (result.IsSuccess && leaf is EncluLeaf.EACCEPT or EncluLeaf.EACCEPTCOPY)
            {
                enclave.OnAccepted(operand);
            }

            if (logical.InEnclave != wasInside)
            {
                Note(enclave, logical);
            }

            return result;
        }
    }

    private void Note(Enclave enclave, LogicalProcessor logical)
    {
        enclave.OnTransition(logical);
        if (logical.InEnclave)
        {
            _inside[logical] = enclave;
        }
        else
        {
            _inside.TryRemove(logical, out _);
        }
    }
}
