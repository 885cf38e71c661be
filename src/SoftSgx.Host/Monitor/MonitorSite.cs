namespace SoftSgx.Host.Monitor;

/// <summary>One ENCLU that threads reach by the monitor, as the supervisor knows it.</summary>
/// <param name="View">Address of the view in which its code runs.</param>
/// <param name="Origin">Offset of its record in the monitor; its code follows.</param>
/// <param name="Rules">How a thread is recovered that stopped in its code, by offsets from the code.</param>
/// <param name="Start">Address of the instruction before the ENCLU, which the jump replaced.</param>
/// <param name="Enclu">Address of the ENCLU; of the vDSO's function, its AEP.</param>
/// <param name="Return">Address behind the ENCLU.</param>
/// <param name="IsVdso">It is the vDSO's function.</param>
internal sealed record MonitorSite(ulong View, int Origin, RecoveryPoint[] Rules, ulong Start, ulong Enclu, ulong Return, bool IsVdso)
{
    /// <summary>What the jump replaced; null where nothing was.</summary>
    internal byte[]? Original { get; init; }

    /// <summary>RIP that a fault of the leaf reports.</summary>
    internal ulong Faulting => IsVdso ? Return : Enclu;
}
