namespace SoftSgx.Kernel.Tests;

public class AddressRangeSetTests
{
    [Fact]
    public void It_agrees_with_a_bitmap()
    {
        var random = new Random(20261122);
        for (int round = 0; round < 300; round++)
        {
            var set = new AddressRangeSet();
            bool[] model = new bool[64];
            for (int step = 0; step < 20; step++)
            {
                int start = random.Next(64), end = random.Next(start, 65);
                set.Add((ulong)start, (ulong)end);
                Array.Fill(model, true, start, end - start);
                Assert.Equal(model, Enumerable.Range(0, 64).Select(at => set.Contains((ulong)at)));
                int from = random.Next(64), to = random.Next(from, 65);
                bool[] parts = new bool[64];
                for (ulong at = (ulong)from; set.TryNext(ref at, (ulong)to, out ulong partEnd); at = partEnd)
                {
                    Assert.InRange(partEnd, at + 1, (ulong)to);
                    Array.Fill(parts, true, (int)at, (int)(partEnd - at));
                }

                Assert.Equal(Enumerable.Range(0, 64).Select(at => at >= from && at < to && model[at]), parts);
            }
        }
    }

    [Fact]
    public void It_holds_what_it_was_given_however_many_ranges_there_are()
    {
        var set = new AddressRangeSet();
        const ulong Count = 3 * AddressRangeSet.MaximumRanges;
        for (ulong i = 0; i < Count; i++)
        {
            set.Add(i * 10, (i * 10) + 1);
        }

        Assert.InRange(set.Count, 1, AddressRangeSet.MaximumRanges);
        for (ulong i = 0; i < Count; i++)
        {
            Assert.True(set.Contains(i * 10));
        }

        Assert.False(set.Contains(Count * 10));
    }

    [Fact]
    public void The_ends_of_the_address_space()
    {
        var set = new AddressRangeSet();
        Assert.False(set.Contains(0));
        Assert.False(set.Contains(ulong.MaxValue));
        set.Add(0, ulong.MaxValue);
        Assert.True(set.Contains(0));
        set.Add(5, 5);
        Assert.Equal(1, set.Count);
    }
}
