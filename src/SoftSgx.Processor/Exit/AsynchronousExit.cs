namespace SoftSgx.Processor;

/// <summary>
/// Asynchronous enclave exit: saves the thread's state into the current SSA frame and shows the host a synthetic one.
/// SDM vol. 3D, "Enclave exiting events" (AEX operational detail).
/// </summary>
public static class AsynchronousExit
{
    /// <summary>Leaves the enclave that <paramref name="logical"/> is in because of <paramref name="e"/>.</summary>
    public static void Execute(SgxProcessor processor, LogicalProcessor logical, ref RegisterFile registers, Span<byte> xsave, in ExitEvent e) =>
        throw new NotImplementedException();

    /// <summary>The thread died inside and there is no state to save: makes the TCS inactive and uses up the SSA frame.</summary>
    public static void Abandon(SgxProcessor processor, LogicalProcessor logical) =>
        throw new NotImplementedException();
}
