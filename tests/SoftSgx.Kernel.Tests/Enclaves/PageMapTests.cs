using SoftSgx.Architecture;

namespace SoftSgx.Kernel.Tests;

public class PageMapTests
{
    private const ulong LastIndex = (1UL << 52) - 1; // of an address space of 64 bits

    [Theory]
    [InlineData(0UL)]
    [InlineData(63UL)]
    [InlineData(64UL)]
    [InlineData(4095UL)]
    [InlineData(4096UL)]
    [InlineData((1UL << 28) - 1)]
    [InlineData(LastIndex)]
    public void A_page_is_found_at_its_index_and_nowhere_else(ulong index)
    {
        var map = new PageMap();
        EnclavePage page = Page(index, 17);
        Assert.True(map.TryAdd(in page));
        Assert.False(map.TryAdd(Page(index, 18)));
        Assert.True(map.TryFind(index, out EnclavePage found));
        Assert.Equal(page, found);
        Assert.False(map.TryFind(index + 1, out _));
        Assert.False(map.TryFind(index - 1, out _));
        Assert.False(map.TryFind(index ^ 64, out _));

        PageMap.Cursor cursor = map.Walk();
        Assert.Equal(index, cursor.Next(0, out _));
        Assert.Equal(PageMap.None, cursor.Next(index + 1, out _));
        Assert.Equal(1, map.Count);
        Assert.True(map.Remove(index));
        Assert.False(map.Remove(index));
        Assert.Equal(0, map.Count);
        Assert.Equal(PageMap.None, map.Walk().Next(0, out _));
    }

    [Fact]
    public void Every_protection_and_type_survives()
    {
        var map = new PageMap();
        ulong index = 0;
        foreach (PageType type in Enum.GetValues<PageType>())
        {
            for (var protection = PageProtection.None; protection <= PageProtection.Access; protection++)
            {
                var page = new EnclavePage(index * 4096, (int)index * 3, type, protection);
                Assert.True(map.TryAdd(in page));
                Assert.True(map.TryFind(index++, out EnclavePage found));
                Assert.Equal(page, found);
            }
        }
    }

    [Theory]
    [InlineData(1, 200UL)]
    [InlineData(2, 1UL << 14)]
    [InlineData(3, 1UL << 28)]
    [InlineData(4, 1UL << 52)]
    public void It_behaves_as_a_sorted_dictionary(int seed, ulong range)
    {
        var random = new Random(seed);
        var map = new PageMap();
        var model = new SortedDictionary<ulong, int>();
        for (int round = 0; round < 4000; round++)
        {
            // Half of the indexes near a few centres, so that neighbours, removals and re-additions happen.
            ulong index = (ulong)random.NextInt64((long)range);
            index = random.Next(2) == 0 ? index : (index & ~0xFFFFUL) % range + (ulong)random.Next(100);
            if (random.Next(3) != 0)
            {
                Assert.Equal(model.TryAdd(index, round), map.TryAdd(Page(index, round)));
            }
            else
            {
                ulong victim = model.Count > 0 && random.Next(2) == 0 ? model.Keys.ElementAt(random.Next(model.Count)) : index;
                Assert.Equal(model.Remove(victim), map.Remove(victim));
            }

            Assert.Equal(model.Count, map.Count);
        }

        Assert.Equal(model, All(map));
        PageMap.Cursor cursor = map.Walk();
        for (int probe = 0; probe < 500; probe++)
        {
            ulong from = (ulong)random.NextInt64((long)range);
            ulong expected = model.Keys.Where(k => k >= from).Append(PageMap.None).First();
            Assert.Equal(expected, cursor.Next(from, out _));
            Assert.Equal(expected, map.Walk().Next(from, out _));
        }
    }

    [Fact]
    public void Pages_are_counted_by_what_policies_ask()
    {
        var random = new Random(5);
        var map = new PageMap();
        var model = new Dictionary<ulong, EnclavePage>();
        for (int round = 0; round < 3000; round++)
        {
            ulong index = (ulong)random.Next(300);
            var page = new EnclavePage(index * 4096, 1, PageType.PT_REG, (PageProtection)random.Next(8)) { IsAugmented = random.Next(2) == 0 };
            switch (random.Next(3))
            {
                case 0 when map.TryAdd(in page):
                    model.Add(index, page);
                    break;
                case 1 when model.ContainsKey(index):
                    map.Update(in page);
                    model[index] = page;
                    break;
                case 2:
                    Assert.Equal(model.Remove(index), map.Remove(index));
                    break;
            }

            const PageProtection WriteExecute = PageProtection.Write | PageProtection.Execute;
            Assert.Equal(model.Values.Count(static p => p.IsAugmented), map.AugmentedCount);
            Assert.Equal(model.Values.Count(static p => (p.Maximum & WriteExecute) == WriteExecute), map.WriteExecuteCount);
        }
    }

    [Fact]
    public void A_walk_goes_on_after_the_page_it_stands_on_is_removed()
    {
        var map = new PageMap();
        ulong[] indexes = [0, 1, 63, 64, 5000, 1 << 20, (1 << 20) + 1];
        foreach (ulong index in indexes)
        {
            map.TryAdd(Page(index, 0));
        }

        var seen = new List<ulong>();
        PageMap.Cursor cursor = map.Walk();
        for (ulong i = cursor.Next(0, out _); i != PageMap.None; i = cursor.Next(i + 1, out _))
        {
            seen.Add(i);
            Assert.True(map.Remove(i));
        }

        Assert.Equal(indexes, seen);
        Assert.Equal(0, map.Count);
    }

    [Fact]
    public void Memory_follows_the_pages_and_not_the_range()
    {
        // 1,000 lone pages in an enclave of 2^40 bytes cost less than the EPC pages that they stand for.
        var map = new PageMap();
        map.TryAdd(Page(1 << 27, 0));
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (ulong i = 0; i < 1000; i++)
        {
            map.TryAdd(Page(i << 18, 0));
        }

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 1, 1000 * 4096);

        // Dense pages cost a few bytes each.
        before = GC.GetAllocatedBytesForCurrentThread();
        for (ulong i = 0; i < 100_000; i++)
        {
            map.TryAdd(Page((1 << 26) + i, 0));
        }

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 1, 100_000 * 8);
    }

    private static EnclavePage Page(ulong index, int epcPage)
        => new(unchecked(index * 4096), epcPage, PageType.PT_REG, PageProtection.Read);

    private static SortedDictionary<ulong, int> All(PageMap map)
    {
        var all = new SortedDictionary<ulong, int>();
        PageMap.Cursor cursor = map.Walk();
        for (ulong i = cursor.Next(0, out EnclavePage page); i != PageMap.None; i = cursor.Next(i + 1, out page))
        {
            Assert.Equal(i * 4096, page.Offset);
            all.Add(i, page.EpcPage);
        }

        return all;
    }
}
