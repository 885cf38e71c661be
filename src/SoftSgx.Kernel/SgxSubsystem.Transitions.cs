using SoftSgx.Processor;

namespace SoftSgx.Kernel;

/// <content>
/// Transitions of logical processors, in step with paging: no page changes hands while a leaf is at work, pages that are out are
/// loaded, and the kernel knows who is inside.
/// </content>
public sealed partial class SgxSubsystem
{
    /// <summary>Executes ENCLU; a #PF on a page that can be loaded is handled and the leaf repeated.</summary>
    /// <param name="enclave">The enclave that RBX (EENTER, ERESUME) or the logical processor is in, if known.</param>
    /// <param name="logical">The logical processor.</param>
    /// <param name="registers">Its registers, see <see cref="Enclu.Execute"/>.</param>
    /// <param name="space">Its page tables.</param>
    /// <param name="xsave">Its XSAVE image.</param>
    /// <param name="outcome">
    /// For a result that is #PF: what became of the page fault; <see cref="FaultOutcome.Present"/> if the page is there and the
    /// processor refuses all the same.
    /// </param>
    public LeafResult ExecuteEnclu(
        Enclave? enclave,
        LogicalProcessor logical,
        ref RegisterFile registers,
        ILinearAddressSpace space,
        Span<byte> xsave,
        out FaultOutcome outcome) => throw new NotImplementedException();

    /// <summary>An asynchronous exit, see <see cref="AsynchronousExit.Execute"/>.</summary>
    public void ExitAsynchronously(LogicalProcessor logical, ref RegisterFile registers, Span<byte> xsave, in ExitEvent e)
        => throw new NotImplementedException();

    /// <summary>A thread died inside, see <see cref="AsynchronousExit.Abandon"/>.</summary>
    public void Abandon(LogicalProcessor logical) => throw new NotImplementedException();
}
