using System.Diagnostics;
using SoftSgx.Architecture;

namespace SoftSgx.Kernel.Tests;

public class MappingTests
{
    private const PageProtection R = PageProtection.Read;
    private const PageProtection W = PageProtection.Write;
    private const PageProtection X = PageProtection.Execute;
    private const ulong Base = Machine.EnclaveBase;

    [Theory]
    [InlineData(0x0000UL, 0x1000UL, R | X, true)] // code
    [InlineData(0x0000UL, 0x1000UL, R | W, false)]
    [InlineData(0x0000UL, 0x1000UL, W, false)]
    [InlineData(0x1000UL, 0x2000UL, R | W, true)] // TCS
    [InlineData(0x1000UL, 0x2000UL, X, false)]
    [InlineData(0x2000UL, 0x4000UL, R | W, true)] // SSA
    [InlineData(0x2000UL, 0x4000UL, R | W | X, false)]
    [InlineData(0x0000UL, 0x4000UL, R, true)] // all of them
    [InlineData(0x0000UL, 0x4000UL, PageProtection.None, true)]
    [InlineData(0x0000UL, 0x4000UL, R | W, false)] // the code forbids it
    [InlineData(0x1000UL, 0x8000UL, R | W, true)] // a hole is no hindrance
    [InlineData(0x4000UL, 0x8000UL, R | W | X, true)] // nothing but a hole
    [InlineData(0x9000UL, Machine.EnclaveSize, R | W | X, true)]
    [InlineData(0x0000UL, Machine.EnclaveSize, R, true)]
    [InlineData(0x0000UL, Machine.EnclaveSize, X, false)]
    public void A_mapping_may_not_ask_more_than_the_maximum(ulong start, ulong end, PageProtection protection, bool allowed)
    {
        var machine = new Machine();
        (Enclave enclave, SigStruct sigStruct) = TestEnclave.Build(machine);
        Errno errno = allowed ? Errno.None : Errno.EACCES;
        Assert.Equal(errno, enclave.MayMap(Base + start, Base + end, protection));
        Assert.Equal(Errno.None, machine.Init(enclave, in sigStruct));
        Assert.Equal(errno, enclave.MayMap(Base + start, Base + end, protection));
    }

    [Theory]
    [InlineData(Base - 0x1000, Base + 0x1000)]
    [InlineData(Base + Machine.EnclaveSize - 0x1000, Base + Machine.EnclaveSize + 0x1000)]
    [InlineData(Base - 0x1000, Base + Machine.EnclaveSize + 0x1000)]
    [InlineData(0x1_0000UL, 0x2_0000UL)]
    [InlineData(0UL, 0x7FFF_FFFF_F000UL)]
    [InlineData(0UL, ulong.MaxValue)]
    public void A_range_may_leave_the_enclave_until_it_is_initialised(ulong start, ulong end)
    {
        var machine = new Machine();
        Enclave enclave = machine.Open();
        Assert.Equal(Errno.None, enclave.MayMap(start, end, R | W | X)); // Gramine maps before CREATE
        (enclave, SigStruct sigStruct) = TestEnclave.Build(machine);
        Assert.Equal(Errno.None, enclave.MayMap(start, end, R));
        Assert.Equal(Errno.None, machine.Init(enclave, in sigStruct));
        Assert.Equal(Errno.EACCES, enclave.MayMap(start, end, R));
        Assert.Equal(Errno.EACCES, enclave.MayMap(start, end, PageProtection.None));
    }

    [Fact]
    public void A_range_beyond_the_enclave_is_still_checked_inside_it()
    {
        var machine = new Machine();
        (Enclave enclave, _) = TestEnclave.Build(machine);
        Assert.Equal(Errno.EACCES, enclave.MayMap(0, ulong.MaxValue, W)); // because of the code page
        Assert.Equal(Errno.EACCES, enclave.MayMap(Base - 0x1000, Base + 0x1000, W));
        Assert.Equal(Errno.None, enclave.MayMap(Base - 0x1000, Base, W));
    }

    [Fact]
    public void Pages_are_found_by_any_address_inside_them()
    {
        var machine = new Machine();
        Enclave enclave = TestEnclave.BuildInitialized(machine);
        Assert.True(enclave.TryFindPage(Base + 0x2FFF, out EnclavePage page));
        Assert.Equal((0x2000UL, PageType.PT_REG, R | W), (page.Offset, page.Type, page.Maximum));
        Assert.Equal(page.EpcPage, enclave.EpcPageAt(Base + 0x2000));
        Assert.Equal((R | W, R | W), (enclave.MaximumProtection(Base + 0x2000), enclave.EpcmProtection(Base + 0x2000)));
        Assert.Equal((R | X, R | X), (enclave.MaximumProtection(Base), enclave.EpcmProtection(Base)));
        Assert.Equal(R | W, enclave.MaximumProtection(Base + 0x1000));
        Assert.Equal(PageProtection.None, enclave.EpcmProtection(Base + 0x1000));
        foreach (ulong address in new[] { Base - 1, Base + 0x4000, Base + Machine.EnclaveSize, 0UL, ulong.MaxValue })
        {
            Assert.False(enclave.TryFindPage(address, out _));
            Assert.Equal(-1, enclave.EpcPageAt(address));
            Assert.Equal(PageProtection.None, enclave.MaximumProtection(address));
            Assert.Equal(PageProtection.None, enclave.EpcmProtection(address));
        }
    }

    [Fact]
    public void Runs_are_maximal_and_cover_the_range()
    {
        var machine = new Machine();
        Enclave enclave = TestEnclave.BuildInitialized(machine);
        Assert.Equal(
            [
                (Base - 0x3000, Base, PageProtection.Absent),
                (Base, Base + 0x1000, R | X),
                (Base + 0x1000, Base + 0x2000, PageProtection.Private),
                (Base + 0x2000, Base + 0x4000, R | W),
                (Base + 0x4000, Base + 0x8000, PageProtection.Absent),
                (Base + 0x8000, Base + 0x9000, R | W),
                (Base + 0x9000, Base + (2 * Machine.EnclaveSize), PageProtection.Absent),
            ],
            Runs(enclave, Base - 0x3000, Base + (2 * Machine.EnclaveSize)));
        Assert.Equal([(Base + 0x3000, Base + 0x4000, R | W)], Runs(enclave, Base + 0x3000, Base + 0x4000));
        Assert.Equal([(Base + 0x3000, Base + 0x4000, R | W)], Runs(enclave, Base + 0x3001, Base + 0x3002)); // whole pages
        Assert.Empty(Runs(enclave, Base, Base));
        Assert.Empty(Runs(enclave, Base + 0x1000, Base));
        Assert.Equal([(0UL, 0x5000UL, PageProtection.Absent)], Runs(machine.Open(), 0, 0x5000)); // not created
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Runs_agree_with_a_page_by_page_look(int seed)
    {
        const ulong Window = 512 * 4096;
        var random = new Random(seed);
        var machine = new Machine(epcPages: 512);
        Enclave enclave = machine.OpenCreated();
        SecInfo[] kinds = [Machine.RegRw, Machine.RegRx, SecInfo.For(PageType.PT_REG, SecInfoFlags.None)];
        for (int i = 0; i < 60; i++)
        {
            ulong offset = (ulong)random.Next(500) * 4096;
            if (random.Next(8) == 0)
            {
                machine.AddTcs(enclave, offset);
            }
            else
            {
                machine.AddPages(enclave, offset, (ulong)random.Next(1, 8), in kinds[random.Next(kinds.Length)], measure: false);
            }
        }

        List<(ulong Start, ulong End, PageProtection State)> runs = Runs(enclave, Base - 0x2000, Base + Window);
        ulong expectedStart = Base - 0x2000;
        PageProtection? last = null;
        foreach ((ulong start, ulong end, PageProtection state) in runs)
        {
            Assert.Equal(expectedStart, start);
            Assert.NotEqual(last, state);
            for (ulong address = start; address < end; address += 4096)
            {
                PageProtection expected = !enclave.TryFindPage(address, out EnclavePage page) ? PageProtection.Absent
                    : page.Type == PageType.PT_TCS ? PageProtection.Private
                    : enclave.EpcmProtection(address);
                Assert.Equal(expected, state);
            }

            (expectedStart, last) = (end, state);
        }

        Assert.Equal(Base + Window, expectedStart);
        enclave.Release();
        machine.AssertNothingLeaked();
    }

    [Fact]
    public void Huge_sparse_ranges_cost_what_their_pages_cost()
    {
        const ulong Size = 1UL << 40;
        var machine = new Machine();
        Enclave enclave = machine.Open();
        Assert.Equal(Errno.None, machine.Create(enclave, Machine.Secs(Size, Size)));
        foreach (ulong offset in new[] { 0UL, Size / 3 & ~0xFFFUL, Size - 4096 })
        {
            Assert.Equal(Errno.None, machine.AddPages(enclave, offset, 1, in Machine.RegRw));
        }

        var clock = Stopwatch.StartNew();
        for (int i = 0; i < 1000; i++)
        {
            Assert.Equal(5, Runs(enclave, Size, 2 * Size).Count);
            Assert.Equal(Errno.None, enclave.MayMap(Size, 2 * Size, R | W));
            Assert.Equal(Errno.EACCES, enclave.MayMap(Size, 2 * Size, R | X));
        }

        // Page by page it would be 2^28 pages a thousand times over: days.
        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(20), clock.Elapsed.ToString());
    }

    private static List<(ulong Start, ulong End, PageProtection State)> Runs(Enclave enclave, ulong start, ulong end)
    {
        var runs = new List<(ulong, ulong, PageProtection)>();
        for (ulong a = start; enclave.NextRun(ref a, end, out PageProtection state, out ulong runEnd); a = runEnd)
        {
            Assert.True(runEnd > a);
            runs.Add((a, runEnd, state));
        }

        return runs;
    }
}
