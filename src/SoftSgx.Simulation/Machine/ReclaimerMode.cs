namespace SoftSgx.Simulation;

/// <summary>Who runs the reclaimer of a simulated machine.</summary>
public enum ReclaimerMode
{
    /// <summary>
    /// The thread that faults, as if ksgxd ran at once and on the same core: when free pages fall below the low watermark it reclaims
    /// until they reach the high one. Nothing depends on timing.
    /// </summary>
    Inline,

    /// <summary>A thread of its own, as in a kernel.</summary>
    Thread,

    /// <summary>A virtual thread: the machine's scheduler decides when it runs.</summary>
    Scheduled,
}
