using SoftSgx.Architecture;

namespace SoftSgx.Images.Tests;

/// <summary>Where two enclaves begin to differ, against the lists of their operations.</summary>
public sealed class EnclaveComparerTests
{
    private static readonly SecInfoFlags s_data = SecInfo.For(PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.W).Flags;
    private static readonly SecInfoFlags s_code = SecInfo.For(PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.X).Flags;

    public static TheoryData<int> Seeds => [.. Enumerable.Range(1, 60)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void The_first_difference_is_that_of_the_operations(int seed)
    {
        Random random = new(seed);
        EnclaveLayout first = RandomLayout.Create(new Random(seed));
        EnclaveLayout second = Changed(RandomLayout.Create(new Random(seed)), random);
        List<string> a = Operations.Of(first);
        List<string> b = Operations.Of(second);
        int same = a.Zip(b).TakeWhile(static pair => pair.First == pair.Second).Count();
        bool areSame = a.SequenceEqual(b);

        EnclaveComparison comparison = EnclaveComparer.Compare(first, second);

        Assert.Equal(areSame, comparison.IsSame);
        Assert.Equal(areSame ? null : (ulong)same + 1, comparison.First?.Operation);
        Assert.Equal(areSame, !comparison.Regions.Any(static region => region.ChangesMeasurement) && first.Size == second.Size && first.SsaFrameSize == second.SsaFrameSize);
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void Nothing_differs_from_itself(int seed)
    {
        EnclaveComparison comparison = EnclaveComparer.Compare(RandomLayout.Create(new Random(seed)), RandomLayout.Create(new Random(seed)));

        Assert.True(comparison.IsSame);
        Assert.Empty(comparison.Regions);
    }

    [Fact]
    public void A_byte_is_found()
    {
        byte[] contents = new byte[3 * 4096];
        byte[] changed = (byte[])contents.Clone();
        changed[0x1234] = 7;
        changed[0x2FFF] = 9;

        EnclaveComparison comparison = EnclaveComparer.Compare(Code(contents), Code(changed));

        Assert.Equal(new ByteDifference(0x1000 + 0x1234, 0, 7), comparison.First!.Byte);
        Assert.Equal(0x1000UL + 0x1200, comparison.First.Offset);
        Assert.Equal(1UL + 17 + 1 + 2 + 1, comparison.First.Operation);
        RegionDifference region = Assert.Single(comparison.Regions);
        Assert.Equal(("code", 0x2000UL, 0x4000UL, 2UL, 2UL), (region.Name, region.Start, region.End, region.Contents, region.Bytes));
    }

    [Fact]
    public void Huge_runs_of_equal_pages_are_compared_as_one()
    {
        EnclaveComparison comparison = EnclaveComparer.Compare(Heap(1UL << 32), Heap((1UL << 32) - 5));

        Assert.Equal((1UL << 32) - 5 + 2, comparison.First!.Operation);
        Assert.Equal("nothing more", comparison.First.InSecond);
        Assert.Equal(5UL, Assert.Single(comparison.Regions).OnlyInFirst);
    }

    [Fact]
    public void Contents_that_nobody_measures_make_no_difference_of_the_measurement()
    {
        PageRun zero = new(0, 4, s_data, 0, PageContent.Zero, "heap");
        byte[] page = new byte[4096];
        page[5] = 1;

        EnclaveComparison comparison = EnclaveComparer.Compare(
            new EnclaveLayout(0x10000, 1, [zero]), new EnclaveLayout(0x10000, 1, [zero with { Content = PageContent.Repeat(page) }]));

        Assert.True(comparison.IsSame);
        RegionDifference region = Assert.Single(comparison.Regions);
        Assert.Equal((4UL, false), (region.UnmeasuredContents, region.ChangesMeasurement));
    }

    [Fact]
    public void Another_order_is_another_enclave_of_the_same_pages()
    {
        PageRun one = new(0, 1, s_data, 0, PageContent.Zero, "one");
        PageRun other = new(0x1000, 1, s_data, 0, PageContent.Zero, "other");

        EnclaveComparison comparison = EnclaveComparer.Compare(new EnclaveLayout(0x10000, 1, [one, other]), new EnclaveLayout(0x10000, 1, [other, one]));

        Assert.Equal(2UL, comparison.First!.Operation);
        Assert.Empty(comparison.Regions);
    }

    [Fact]
    public void Fields_of_signatures_are_named()
    {
        SigStruct first = SigStructSigner.Template();
        SigStruct second = first;
        second.IsvSvn = 3;
        second.Date = 0x20260131;

        IReadOnlyList<FieldDifference> fields = SigStructComparer.Compare(first, second);

        Assert.Equal([new FieldDifference("DATE", "00000000", "20260131"), new FieldDifference("ISVSVN", "0", "3")], fields);
    }

    private static EnclaveLayout Code(byte[] contents) =>
        new(0x10000, 1, [new PageRun(0x1000, (ulong)contents.Length / 4096, s_code, PageRun.AllChunks, PageContent.Of(contents), "code")]);

    private static EnclaveLayout Heap(ulong pages) => new(1UL << 50, 1, [new PageRun(0, pages, s_data, 0, PageContent.Zero, "heap")]);

    private static EnclaveLayout Changed(EnclaveLayout layout, Random random)
    {
        List<PageRun> runs = [.. layout.Runs];
        int index = random.Next(runs.Count);
        PageRun run = runs[index];
        switch (random.Next(7))
        {
            case 0:
                return layout with { SsaFrameSize = layout.SsaFrameSize + 1 };
            case 1:
                runs.RemoveAt(index);
                break;
            case 2:
                runs[index] = run with { MeasuredChunks = (ushort)(run.MeasuredChunks ^ (1 << random.Next(16))) };
                break;
            case 3:
                runs[index] = run with { Flags = run.Flags ^ SecInfoFlags.X };
                break;
            case 4:
                runs[index] = run with { PageCount = run.PageCount + 1 };
                break;
            case 5:
                runs[^1] = runs[^1] with { Offset = runs[^1].Offset + 0x1000 };
                break;
            default:
                byte[] contents = new byte[run.PageCount * 4096];
                for (ulong i = 0; i < run.PageCount; i++)
                {
                    run.Content.Read(i, contents.AsSpan((int)i * 4096, 4096));
                }

                int place = run.PageType == PageType.PT_TCS ? random.Next(72) : random.Next(contents.Length);
                contents[place] ^= (byte)random.Next(1, 256);
                runs[index] = run with { Content = PageContent.Of(contents) };
                break;
        }

        return layout with { Runs = runs };
    }
}
