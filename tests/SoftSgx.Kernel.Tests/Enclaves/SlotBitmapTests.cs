namespace SoftSgx.Kernel.Tests;

public class SlotBitmapTests
{
    [Theory]
    [InlineData(512)]
    [InlineData(64 * 64)]
    [InlineData(300_000)]
    public void The_lowest_free_slot_is_taken(int slots)
    {
        var bitmap = new SlotBitmap();
        Assert.Equal(-1, bitmap.Take());
        var free = new SortedSet<int>();
        var taken = new List<int>();
        var random = new Random(slots);
        for (int step = 0, added = 0; step < 3 * slots; step++)
        {
            if (free.Count == 0 && added < slots)
            {
                bitmap.Add(Math.Min(512, slots - added));
                for (int end = Math.Min(added + 512, slots); added < end; added++)
                {
                    free.Add(added);
                }
            }

            if (taken.Count > 0 && random.Next(5) < 2)
            {
                int at = random.Next(taken.Count);
                bitmap.Return(taken[at]);
                free.Add(taken[at]);
                taken[at] = taken[^1];
                taken.RemoveAt(taken.Count - 1);
            }
            else
            {
                int expected = free.Count > 0 ? free.Min : -1;
                Assert.Equal(expected, bitmap.Take());
                if (expected >= 0)
                {
                    free.Remove(expected);
                    taken.Add(expected);
                }
            }

            Assert.Equal(taken.Count, bitmap.Taken);
        }

        bitmap.Clear();
        Assert.Equal(-1, bitmap.Take());
        bitmap.Add(1);
        Assert.Equal(0, bitmap.Take());
    }
}
