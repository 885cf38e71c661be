namespace SoftSgx.Kernel;

/// <summary>A place in the kernel at which threads may be interleaved: no lock is held there, and others see a state between two steps.</summary>
public enum SchedulingPoint
{
    /// <summary>Before a page is allocated.</summary>
    Allocate,

    /// <summary>The reclaimer has detached a batch and not aged it yet.</summary>
    BatchDetached,

    /// <summary>The batch is aged and marked; nothing is zapped yet.</summary>
    BatchMarked,

    /// <summary>The pages are zapped, none is blocked yet.</summary>
    BatchZapped,

    /// <summary>The pages are blocked; before the next of them is written out.</summary>
    BeforeWriteBack,

    /// <summary>A page was written out and is about to return to the pool.</summary>
    PageWritten,

    /// <summary>A page fault is about to be handled.</summary>
    Fault,

    /// <summary>An enclave has been marked dead and not been torn down yet.</summary>
    Release,
}

/// <summary>
/// Decides which thread of the kernel goes on: for simulations, which run one at a time and replay an interleaving from a seed.
/// A host has none: its threads run as they please.
/// </summary>
public interface IKernelScheduler
{
    /// <summary>The calling thread has reached a point at which others may go on first.</summary>
    /// <param name="point">Where it is.</param>
    public void Reach(SchedulingPoint point);

    /// <summary>Lets others go on until a condition holds, or nobody else can go on.</summary>
    /// <param name="condition">What is waited for.</param>
    /// <returns><see langword="false"/> if it does not hold and nobody can make it hold.</returns>
    public bool WaitUntil(Func<bool> condition);
}
