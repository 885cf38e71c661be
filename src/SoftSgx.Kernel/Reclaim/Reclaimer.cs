namespace SoftSgx.Kernel;

/// <summary>
/// Swaps pages out of the EPC when it runs short. The counterpart of ksgxd and sgx_reclaim_pages in arch/x86/kernel/cpu/sgx/main.c.
/// </summary>
public sealed class Reclaimer
{
    /// <summary>Counts the batches that are done: what waiters compare.</summary>
    public long Progress => throw new NotImplementedException();

    /// <summary>Starts the thread.</summary>
    public void Start() => throw new NotImplementedException();

    /// <summary>Ends the thread after the batch that it is working on.</summary>
    public void Stop() => throw new NotImplementedException();

    /// <summary>Reclaims one batch on the calling thread, which holds no lock.</summary>
    /// <returns><see langword="false"/> if there was no page to look at.</returns>
    public bool ReclaimBatch() => throw new NotImplementedException();

    /// <summary>Waits until a batch is done that was not when <paramref name="seen"/> was read from <see cref="Progress"/>.</summary>
    /// <param name="seen">The value read before the fault was handled.</param>
    /// <param name="timeout">How long at most.</param>
    /// <returns><see langword="false"/> after the timeout.</returns>
    public bool WaitForProgress(long seen, TimeSpan timeout) => throw new NotImplementedException();
}
