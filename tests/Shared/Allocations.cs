namespace SoftSgx.Tests;

/// <summary>Measures what code allocates.</summary>
internal static class Allocations
{
    private const int Rounds = 5;

    /// <summary>
    /// Bytes that <paramref name="work"/> allocates in the quietest of five rounds. A collection that another test causes moves the
    /// runtime's accounts of this thread by kilobytes now and then; what the work allocates itself shows in every round.
    /// </summary>
    internal static long Of(Action work)
    {
        long least = long.MaxValue;
        for (int round = 0; round < Rounds; round++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            work();
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }
        return least;
    }
}
