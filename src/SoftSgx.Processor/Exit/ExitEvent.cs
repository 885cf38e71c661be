namespace SoftSgx.Processor;

/// <summary>What makes a logical processor leave an enclave asynchronously.</summary>
/// <param name="IsException">True for an exception, false for an interrupt or anything else outside the enclave's doing.</param>
/// <param name="Vector">Vector of the exception.</param>
/// <param name="IsSoftware">The exception was asked for by an instruction: INT3.</param>
/// <param name="ErrorCode">Error code of the exception; 0 where it has none.</param>
/// <param name="FaultAddress">Faulting linear address of a page fault.</param>
public readonly record struct ExitEvent(bool IsException, byte Vector, bool IsSoftware, uint ErrorCode, ulong FaultAddress)
{
    /// <summary>An interrupt: the enclave is told nothing.</summary>
    public static ExitEvent Interrupt => default;
}
