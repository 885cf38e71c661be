using SoftSgx.Architecture;

namespace SoftSgx.Kernel.Tests;

public class EpcPoolTests
{
    [Fact]
    public void The_pool_is_bounded_and_counts_by_type()
    {
        var pool = new EpcPool(3);
        Assert.True(pool.TryAllocate(PageType.PT_SECS, out int secs));
        Assert.True(pool.TryAllocate(PageType.PT_REG, out int first));
        Assert.True(pool.TryAllocate(PageType.PT_REG, out int second));
        Assert.False(pool.TryAllocate(PageType.PT_VA, out int none));

        Assert.Equal([0, 1, 2], new[] { secs, first, second }.Order());
        Assert.Equal(-1, none);
        Assert.Equal((3, 0, 3), (pool.Total, pool.Free, pool.Used));
        Assert.Equal(1, pool.CountOf(PageType.PT_SECS));
        Assert.Equal(2, pool.CountOf(PageType.PT_REG));
        Assert.Equal(0, pool.CountOf(PageType.PT_VA));

        pool.Return(first);
        Assert.Equal(1, pool.CountOf(PageType.PT_REG));
        Assert.True(pool.TryAllocate(PageType.PT_VA, out int again));
        Assert.Equal(first, again);
    }

    [Fact]
    public void Freeing_twice_is_a_bug_that_is_found()
    {
        var pool = new EpcPool(2);
        Assert.True(pool.TryAllocate(PageType.PT_REG, out int page));
        pool.Return(page);
        Assert.Throws<InvalidOperationException>(() => pool.Return(page));
        Assert.Equal(2, pool.Free);
    }

    [Fact]
    public void Allocating_and_freeing_makes_no_garbage()
    {
        var pool = new EpcPool(1024);
        Assert.Equal(0, SoftSgx.Tests.Allocations.Of(() => Cycle(pool)));

        static void Cycle(EpcPool pool)
        {
            while (pool.TryAllocate(PageType.PT_REG, out _))
            {
            }

            for (int page = 0; page < pool.Total; page++)
            {
                pool.Return(page);
            }
        }
    }

    [Fact]
    public async Task No_page_is_handed_out_twice()
    {
        var pool = new EpcPool(64);
        int[] owners = new int[64];
        await Task.WhenAll(Enumerable.Range(1, 4).Select(seed => Task.Run(() =>
        {
            var random = new Random(seed);
            var mine = new List<int>();
            for (int round = 0; round < 20_000; round++)
            {
                if (random.Next(2) == 0 && pool.TryAllocate(PageType.PT_REG, out int page))
                {
                    Assert.Equal(0, Interlocked.Exchange(ref owners[page], seed));
                    mine.Add(page);
                }
                else if (mine.Count > 0)
                {
                    int last = mine[^1];
                    mine.RemoveAt(mine.Count - 1);
                    Assert.Equal(seed, Interlocked.Exchange(ref owners[last], 0));
                    pool.Return(last);
                }
            }

            foreach (int page in mine)
            {
                owners[page] = 0;
                pool.Return(page);
            }
        })));
        Assert.Equal(64, pool.Free);
    }
}
