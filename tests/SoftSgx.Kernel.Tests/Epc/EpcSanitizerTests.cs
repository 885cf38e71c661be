using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Kernel.Tests;

public class EpcSanitizerTests
{
    [Fact]
    public void Enclaves_of_whoever_ran_before_are_removed_children_first()
    {
        var before = new Machine(epcPages: 32);
        _ = TestEnclave.BuildInitialized(before);
        Assert.Contains(Enumerable.Range(0, 32), before.Processor.Epcm.IsValid);

        var after = new SgxSubsystem(before.Processor, before.Platform, new SubsystemOptions(), before.Encls);
        Assert.DoesNotContain(Enumerable.Range(0, 32), before.Processor.Epcm.IsValid);
        Assert.Equal((32, 0), (after.Pool.Free, after.Pool.Withheld));
    }

    [Fact]
    public void A_page_that_resists_twice_is_never_handed_out()
    {
        var before = new Machine(epcPages: 8);
        before.Encls.Calls.Clear();
        before.Encls.Script = (leaf, n) => leaf == EnclsLeaf.EREMOVE && n is 3 or 8 ? LeafResult.FromError(SgxError.SGX_CHILD_PRESENT) : null;
        var after = new SgxSubsystem(before.Processor, before.Platform, new SubsystemOptions(), before.Encls);
        Assert.Equal((7, 1), (after.Pool.Free, after.Pool.Withheld));
        while (after.Pool.TryAllocate(PageType.PT_REG, out int page))
        {
            Assert.NotEqual(3, page);
        }
    }

    [Fact]
    public void Nodes_are_taken_in_turn_the_local_one_first()
    {
        var pool = new EpcPool(new EpcLayout((2, 0), (2, 1), (1, 3)), new EpcPageLinks(5));
        int[] pages = new int[5];
        for (int i = 0; i < pages.Length; i++)
        {
            Assert.True(pool.TryAllocate(PageType.PT_REG, out pages[i], node: 1));
        }

        Assert.Equal([2, 3, 4, 0, 1], pages);
        pool.Return(3);
        Assert.Equal((1, 0), (pool.FreeOf(1), pool.FreeOf(0)));
        Assert.Equal([2 * 4096UL, 2 * 4096UL, 0UL, 4096UL], Enumerable.Range(0, 4).Select(pool.TotalBytes));
    }

    [Fact]
    public void A_poisoned_page_is_withheld_now_or_when_it_is_returned()
    {
        var pool = new EpcPool(3);
        Assert.True(pool.TryAllocate(PageType.PT_REG, out int used));
        Assert.True(pool.Poison(used));
        Assert.False(pool.Poison(2));
        Assert.False(pool.Poison(2));
        Assert.Equal((1, 1, 1), (pool.Free, pool.Used, pool.Withheld));
        pool.Return(used);
        Assert.Equal((1, 0, 2), (pool.Free, pool.Used, pool.Withheld));
        Assert.True(pool.TryAllocate(PageType.PT_REG, out int last));
        Assert.Equal(1, last);
        Assert.False(pool.TryAllocate(PageType.PT_REG, out _));
    }
}
