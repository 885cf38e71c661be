namespace SoftSgx.Processor;

/// <summary>
/// A try-lock in one word: several sharers or one exclusive holder. Nobody ever sleeps on it; a leaf that cannot have it conflicts.
/// SDM vol. 3D, concurrency tables of the instruction reference.
/// </summary>
/// <remarks>
/// <code>
/// 0 free | -1 exclusive | n > 0 shared by n
/// </code>
/// </remarks>
internal static class SharedLock
{
    private const int Exclusive = -1;

    /// <summary>Takes it exclusively, or says at once that somebody has it.</summary>
    public static bool TryLockExclusive(ref int word) => Interlocked.CompareExchange(ref word, Exclusive, 0) == 0;

    /// <summary>Gives back what <see cref="TryLockExclusive"/> took.</summary>
    public static void UnlockExclusive(ref int word) => Volatile.Write(ref word, 0);

    /// <summary>Takes it together with other sharers, or says at once that somebody has it exclusively.</summary>
    public static bool TryLockShared(ref int word)
    {
        int seen = Volatile.Read(ref word);
        while (seen >= 0)
        {
            int before = Interlocked.CompareExchange(ref word, seen + 1, seen);
            if (before == seen)
            {
                return true;
            }

            seen = before;
        }

        return false;
    }

    /// <summary>Gives back what <see cref="TryLockShared"/> took.</summary>
    public static void UnlockShared(ref int word) => Interlocked.Decrement(ref word);
}
