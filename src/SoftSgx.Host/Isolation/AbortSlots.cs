using System.Numerics;

namespace SoftSgx.Host.Isolation;

/// <summary>Places of an address space in which threads execute redirected accesses: one for each thread that is about it.</summary>
/// <remarks>
/// A slot is 16 bytes of code in the vDSO image's data area and four pages of data. An access keeps its offset in the page, so alignment
/// counts as it did; it starts in the second page, and strings go up or down from there.
/// </remarks>
internal sealed class AbortSlots
{
    internal const int Count = 64, CodeSize = 16;
    internal const ulong DataSize = 4 * Interop.Native.PageSize;

    private ulong _taken;

    /// <summary>Where their data is; zero as long as it is not mapped.</summary>
    internal ulong Data { get; set; }

    /// <summary>There is no room for it.</summary>
    internal bool HasNoRoom { get; set; }

    /// <summary>The same places in a forked child, whose threads use none yet.</summary>
    internal AbortSlots Fork() => new() { Data = Data };

    /// <summary>Takes a slot; -1 if none is free.</summary>
    internal int Take()
    {
        int slot = BitOperations.TrailingZeroCount(~_taken);
        if (slot >= Count)
        {
            return -1;
        }
        _taken |= 1UL << slot;
        return slot;
    }

    internal void Return(int slot) => _taken &= ~(1UL << slot);

    /// <summary>What stands for an address in a slot's data.</summary>
    internal ulong DataFor(int slot, ulong address) =>
        Data + ((ulong)slot * DataSize) + Interop.Native.PageSize + (address % Interop.Native.PageSize);
}
