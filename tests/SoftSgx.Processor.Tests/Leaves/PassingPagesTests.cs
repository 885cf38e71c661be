using SoftSgx.Architecture;

namespace SoftSgx.Processor.Tests;

/// <summary>Pages that pass through one EPC page, against the leaves one by one.</summary>
public class PassingPagesTests
{
    private const int Passage = 200;
    private const ulong Page = 4096;

    public static TheoryData<int> Seeds => [.. Enumerable.Range(1, 20)];

    [Theory]
    [MemberData(nameof(Seeds))]
    public void They_measure_as_leaf_by_leaf(int seed)
    {
        Random random = new(seed);
        (TestPlatform run, int runSecs) = Create();
        (TestPlatform leaves, int leavesSecs) = Create();
        byte[] contents = new byte[Page];
        for (int i = 0; i < 12; i++)
        {
            random.NextBytes(contents);
            SecInfo info = AnyInfo(random, contents);
            ulong pages = (ulong)random.Next(1, 40);
            ulong offset = (ulong)random.Next(0, 280) * Page;
            ushort chunks = random.Next(3) switch { 0 => 0, 1 => ushort.MaxValue, _ => (ushort)random.Next(0x10000) };

            LeafResult wanted = Leaves(leaves, leavesSecs, contents, info, offset, pages, chunks, out ulong wantedDone);
            LeafResult found = PassingPages.Execute(
                run.Processor, contents, in info, TestPlatform.Base + offset, pages, chunks, runSecs, Passage, out ulong done);

            Assert.Equal((wanted, wantedDone), (found, done));
            Assert.Equal(MeasurementOf(leaves, leavesSecs), MeasurementOf(run, runSecs));
            Assert.False(run.Processor.Epcm.IsValid(Passage));
        }

        // No page is left of it, so the SECS can go.
        Assert.Equal(LeafResult.Ok, ERemove.Execute(run.Processor, runSecs));
    }

    [Theory]
    [InlineData("address", 1UL)]
    [InlineData("reserved", 0UL)]
    [InlineData("type", 0UL)]
    [InlineData("write only", 0UL)]
    [InlineData("behind", TestPlatform.Size)]
    [InlineData("before", ulong.MaxValue - 4095)]
    [InlineData("tcs", 0UL)]
    public void What_eadd_refuses_is_refused(string what, ulong offset)
    {
        (TestPlatform platform, int secs) = Create();
        byte[] contents = new byte[Page];
        SecInfo info = TestPlatform.RegInfo;
        switch (what)
        {
            case "reserved": info.Flags |= (SecInfoFlags)(1UL << 40); break;
            case "type": info = SecInfo.For(PageType.PT_VA, SecInfoFlags.R); break;
            case "write only": info = SecInfo.For(PageType.PT_REG, SecInfoFlags.W); break;
            case "tcs": (info, contents[100]) = (TestPlatform.TcsInfo, 1); break;
        }

        Hash256 before = MeasurementOf(platform, secs);
        LeafResult wanted = platform.Add(secs, TestPlatform.Base + offset, contents, info, Passage + 1);
        LeafResult found = PassingPages.Execute(
            platform.Processor, contents, in info, TestPlatform.Base + offset, 3, 0, secs, Passage, out ulong done);

        Assert.Equal(LeafStatus.Fault, wanted.Status);
        Assert.Equal((wanted, 0UL), (found, done));
        Assert.Equal(before, MeasurementOf(platform, secs));
    }

    [Fact]
    public void A_page_in_use_is_not_passed_through()
    {
        (TestPlatform platform, int secs) = Create();
        SecInfo info = TestPlatform.RegInfo;
        byte[] contents = new byte[Page];
        Assert.Equal(LeafResult.Ok, platform.Add(secs, TestPlatform.Base, contents, info, Passage));

        LeafResult found = PassingPages.Execute(
            platform.Processor, contents, in info, TestPlatform.Base + Page, 1, 0, secs, Passage, out _);

        Assert.Equal(platform.Add(secs, TestPlatform.Base + Page, contents, info, Passage), found);
        Assert.Equal(LeafStatus.Fault, found.Status);
    }

    [Fact]
    public void An_initialised_enclave_takes_no_more()
    {
        TestPlatform platform = new();
        TestEnclave enclave = TestEnclave.Initialized(platform);
        SecInfo info = TestPlatform.RegInfo;

        LeafResult found = PassingPages.Execute(
            platform.Processor, new byte[Page], in info, TestPlatform.Base + (200 * Page), 1, 0, enclave.SecsPage, Passage, out ulong done);

        Assert.Equal((ExceptionVector.GP, 0UL), (found.Fault.Kind, done));
        Assert.False(platform.Processor.TryGetMeasurement(enclave.SecsPage, out _));
    }

    [Fact]
    public void The_measurement_is_told_of_enclaves_only()
    {
        (TestPlatform platform, int secs) = Create();
        int page = platform.Add(secs, 0, new byte[Page], TestPlatform.RegInfo);

        Assert.True(platform.Processor.TryGetMeasurement(secs, out _));
        Assert.False(platform.Processor.TryGetMeasurement(page, out _));
        Assert.False(platform.Processor.TryGetMeasurement(Passage, out _));
        Assert.False(platform.Processor.TryGetMeasurement(-1, out _));
    }

    private static (TestPlatform Platform, int Secs) Create()
    {
        TestPlatform platform = new();
        Secs secs = TestPlatform.DefaultSecs();
        return (platform, platform.Create(in secs));
    }

    /// <summary>Mostly pages that EADD takes; a TCS is made of the contents.</summary>
    private static SecInfo AnyInfo(Random random, byte[] contents)
    {
        if (random.Next(4) == 0)
        {
            contents.AsSpan(72).Clear();
            return SecInfo.For(PageType.PT_TCS, SecInfoFlags.RWX);
        }

        return SecInfo.For(PageType.PT_REG, (SecInfoFlags)random.Next(8));
    }

    private static LeafResult Leaves(
        TestPlatform platform, int secs, byte[] contents, SecInfo info, ulong offset, ulong pages, ushort chunks, out ulong done)
    {
        for (done = 0; done < pages; done++)
        {
            LeafResult added = platform.Add(secs, TestPlatform.Base + offset + (done * Page), contents, info, Passage);
            if (!added.IsSuccess)
            {
                return added;
            }

            for (int chunk = 0; chunk < 16; chunk++)
            {
                if ((chunks >> chunk & 1) != 0)
                {
                    Assert.Equal(LeafResult.Ok, EExtend.Execute(platform.Processor, secs, Passage, chunk * 256));
                }
            }

            Assert.Equal(LeafResult.Ok, ERemove.Execute(platform.Processor, Passage));
        }

        return LeafResult.Ok;
    }

    private static Hash256 MeasurementOf(TestPlatform platform, int secs)
    {
        Assert.True(platform.Processor.TryGetMeasurement(secs, out Hash256 digest));
        return digest;
    }
}
