namespace SoftSgx.Simulation;

/// <summary>An enclave of a trace.</summary>
/// <param name="Pages">Its size in pages; accesses have smaller page indexes.</param>
/// <param name="Threads">Its number of threads; accesses have smaller thread numbers.</param>
public readonly record struct TraceEnclave(ulong Pages, int Threads)
{
    /// <summary>The largest enclave that there can be, in pages.</summary>
    public const ulong MaximumPages = 1UL << (SimulatedMachine.MaximumEnclaveSizeLog2 - 12);

    /// <summary>The most threads.</summary>
    public const int MaximumThreads = ushort.MaxValue;

    /// <summary>Size of its ELRANGE in bytes: the power of two that holds it.</summary>
    public ulong Size => Math.Max(2, System.Numerics.BitOperations.RoundUpToPowerOf2(Pages)) * Kernel.EpcPool.PageSize;

    /// <summary>What is wrong with the numbers, for a user to read, or <see langword="null"/>.</summary>
    public string? Problem =>
        Pages is 0 or > MaximumPages ? $"an enclave has 1 to {MaximumPages} pages, not {Pages}"
        : Threads is < 1 or > MaximumThreads ? $"an enclave has 1 to {MaximumThreads} threads, not {Threads}"
        : null;
}
