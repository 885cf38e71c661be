namespace SoftSgx.Kernel;

/// <summary>Which pages leave the EPC first.</summary>
public enum ReplacementPolicyKind
{
    /// <summary>
    /// Linux's: one list in the order of loading; a page that was accessed since it was looked at last goes back to the end.
    /// </summary>
    Lru,

    /// <summary>The page that came first goes first, accessed or not. The measure of what ageing is worth.</summary>
    Fifo,

    /// <summary>
    /// 2Q: new pages pass through a short queue, and only those that are loaded again soon after they left it join the list of the
    /// accessed ones, so one sweep over much memory does not push out what is used all the time.
    /// T. Johnson and D. Shasha, "2Q: A Low Overhead High Performance Buffer Management Replacement Algorithm", VLDB 1994.
    /// </summary>
    TwoQueues,
}
