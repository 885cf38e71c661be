using System.Diagnostics.CodeAnalysis;
using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Kernel.Tests;

public class PagingTests
{
    private const ulong Heap = Machine.EnclaveBase + TestEnclave.HeapOffset;

    [Fact]
    public void A_page_comes_back_as_it_went()
    {
        var machine = new Machine();
        Enclave enclave = TestEnclave.BuildInitialized(machine);
        byte[] before = machine.Platform.Frame(enclave.EpcPageAt(Heap)).ToArray();
        machine.EvictAll();

        Assert.Equal(-1, enclave.EpcPageAt(Heap));
        Assert.Equal(1, machine.Pool.Used); // the version array alone
        Assert.Equal(TestEnclave.Pages + 1, enclave.TakenSlots);
        Assert.Equal((TestEnclave.Pages + 1 + 2) * 4096, enclave.Counters.BackingBytes); // with the SECS, and two pages of PCMDs
        Assert.Equal(PageProtection.Read | PageProtection.Write, enclave.EpcmProtection(Heap));
        Assert.Equal(FaultOutcome.Present, enclave.HandleFault(Heap + 5, PageProtection.Read, null));
        Assert.True(machine.Platform.Frame(enclave.EpcPageAt(Heap)).SequenceEqual(before));
        Assert.Equal((1, 1), (enclave.Counters.Loads, enclave.Counters.SecsLoads));
        enclave.Release();
        Assert.True(machine.Platform.LastBacking!.IsDisposed);
        machine.AssertNothingLeaked();
    }

    [Fact]
    public void The_SECS_goes_last_and_comes_first()
    {
        var machine = new Machine();
        Enclave enclave = TestEnclave.BuildInitialized(machine);
        machine.EvictAll();
        Assert.Equal((-1, 1), (enclave.SecsPage, enclave.Counters.SecsEvictions));
        Assert.Equal(FaultOutcome.Present, enclave.HandleFault(Heap, PageProtection.None, null));
        Assert.NotEqual(-1, enclave.SecsPage);
        Assert.Equal(enclave.SecsPage, machine.Processor.Epcm.EnclaveSecs(enclave.EpcPageAt(Heap)));
        machine.EvictAll();
        Assert.Equal(2, enclave.Counters.SecsEvictions);
        enclave.Release();
        machine.AssertNothingLeaked();
    }

    [Fact]
    public void An_enclave_that_is_being_built_keeps_its_SECS()
    {
        var machine = new Machine();
        (Enclave enclave, SigStruct sigStruct) = TestEnclave.Build(machine);
        machine.EvictAll();
        Assert.Equal(0, enclave.Counters.SecsEvictions);
        Assert.Equal(TestEnclave.Pages, enclave.Counters.Evictions);
        Assert.Equal(Errno.None, machine.Init(enclave, in sigStruct));
        enclave.Release();
        machine.AssertNothingLeaked();
    }

    [Fact]
    public void Accessed_pages_stay_and_old_ones_go()
    {
        var machine = new Machine();
        Enclave enclave = TestEnclave.BuildInitialized(machine);
        var space = new Space { Accessed = { TestEnclave.HeapOffset } };
        enclave.AddAddressSpace(space);
        Assert.True(machine.Kernel.Reclaimer.ReclaimBatch());
        Assert.NotEqual(-1, enclave.EpcPageAt(Heap));
        Assert.Equal((TestEnclave.Pages - 1, 1), (enclave.Counters.Evictions, enclave.Counters.Young));
        Assert.DoesNotContain(TestEnclave.HeapOffset, space.Zapped);
        Assert.True(machine.Kernel.Reclaimer.ReclaimBatch());
        Assert.Equal(-1, enclave.EpcPageAt(Heap));
        Assert.Equal(TestEnclave.Pages, space.Zapped.Count);
        enclave.Release();
        machine.AssertNothingLeaked();
    }

    [Theory]
    [InlineData(ReplacementPolicyKind.Lru, true)]
    [InlineData(ReplacementPolicyKind.Fifo, false)]
    public void Only_ageing_policies_look_at_accesses(ReplacementPolicyKind policy, bool stays)
    {
        var machine = new Machine(reclaim: new ReclaimSettings { Policy = policy });
        Enclave enclave = TestEnclave.BuildInitialized(machine);
        enclave.AddAddressSpace(new Space { Accessed = { TestEnclave.HeapOffset } });
        machine.Kernel.Reclaimer.ReclaimBatch();
        Assert.Equal(stays, enclave.EpcPageAt(Heap) >= 0);
        enclave.Release();
        machine.AssertNothingLeaked();
    }

    [Fact]
    public void A_fault_on_a_page_on_its_way_out_waits()
    {
        var machine = new Machine();
        Enclave enclave = TestEnclave.BuildInitialized(machine);
        var seen = new List<FaultOutcome>();
        enclave.AddAddressSpace(new Space { OnZap = () => seen.Add(enclave.HandleFault(Heap, PageProtection.None, null)) });
        long progress = machine.Kernel.Reclaimer.Progress;
        machine.EvictAll();
        Assert.Equal([FaultOutcome.Retry], seen);
        Assert.True(machine.Kernel.Reclaimer.WaitForProgress(progress, TimeSpan.Zero));
        Assert.Equal(FaultOutcome.Present, enclave.HandleFault(Heap, PageProtection.None, null));
        enclave.Release();
        machine.AssertNothingLeaked();
    }

    [Fact]
    public void An_address_space_that_comes_meanwhile_is_zapped_too()
    {
        var machine = new Machine();
        Enclave enclave = TestEnclave.BuildInitialized(machine);
        var child = new Space();
        enclave.AddAddressSpace(new Space { OnZap = () => enclave.AddAddressSpace(child) });
        machine.EvictAll();
        Assert.Equal(TestEnclave.Pages, child.Zapped.Count);
        enclave.Release();
        machine.AssertNothingLeaked();
    }

    [Fact]
    public void An_enclave_that_dies_in_the_reclaimers_hands_leaves_nothing()
    {
        var machine = new Machine();
        Enclave enclave = TestEnclave.BuildInitialized(machine);
        enclave.AddAddressSpace(new Space { OnZap = enclave.Release });
        machine.EvictAll();
        Assert.True(enclave.IsDead);
        machine.AssertNothingLeaked();
    }

    [Fact]
    public void Without_memory_to_swap_to_pages_stay_as_they_are()
    {
        var machine = new Machine();
        Enclave enclave = TestEnclave.BuildInitialized(machine);
        byte[] before = machine.Platform.Frame(enclave.EpcPageAt(Heap)).ToArray();
        machine.Platform.RefusesBacking = true;
        Assert.True(machine.Kernel.Reclaimer.ReclaimBatch());
        Assert.Equal((0, 0), (enclave.Counters.Evictions, enclave.TakenSlots));
        Assert.True(machine.Platform.Frame(enclave.EpcPageAt(Heap)).SequenceEqual(before));
        machine.Platform.RefusesBacking = false;
        machine.EvictAll();
        Assert.Equal(TestEnclave.Pages, enclave.Counters.Evictions);
        machine.Platform.LastBacking!.IsFull = true; // but the pages are there, so loading works
        Assert.Equal(FaultOutcome.Present, enclave.HandleFault(Heap, PageProtection.None, null));
        enclave.Release();
        machine.AssertNothingLeaked();
    }

    [Theory]
    [InlineData("contents")]
    [InlineData("pcmd")]
    [InlineData("older")]
    [InlineData("swapped")]
    public void What_was_changed_outside_is_refused(string attack)
    {
        var machine = new Machine();
        Enclave enclave = TestEnclave.BuildInitialized(machine);
        Enclave other = TestEnclave.BuildInitialized(machine);
        machine.EvictAll();
        Dictionary<ulong, byte[]> old = Copy(machine);
        if (attack == "older")
        {
            Assert.Equal(FaultOutcome.Present, other.HandleFault(Heap, PageProtection.None, null));
            machine.EvictAll();
        }

        Attack(attack, machine.Platform.LastBacking!.Pages, old);
        Assert.Equal(FaultOutcome.Corrupt, other.HandleFault(Heap, PageProtection.None, null));
        Assert.Equal(FaultOutcome.Corrupt, other.HandleFault(Heap, PageProtection.None, null));
        Assert.Equal(-1, other.EpcPageAt(Heap));
        Assert.Equal(2, other.Counters.Failures);
        Assert.Equal(FaultOutcome.Present, enclave.HandleFault(Heap, PageProtection.None, null));
        other.Release();
        enclave.Release();
        machine.AssertNothingLeaked();
    }

    [Fact]
    public void Outcomes_that_become_SIGBUS()
    {
        var machine = new Machine();
        Enclave enclave = machine.Open();
        Assert.Equal(FaultOutcome.Absent, enclave.HandleFault(Heap, PageProtection.None, null));
        enclave.Release();
        enclave = TestEnclave.BuildInitialized(machine);
        Assert.Equal(FaultOutcome.Absent, enclave.HandleFault(Heap + 0x10000, PageProtection.None, null));
        Assert.Equal(FaultOutcome.Denied, enclave.HandleFault(Heap, PageProtection.Access, null));
        machine.EvictAll();
        machine.LeaveFree(1);
        Assert.Equal(FaultOutcome.Exhausted, enclave.HandleFault(Heap, PageProtection.None, null)); // one for the SECS, none for the page
        Assert.Equal(1, machine.Pool.Free); // so the SECS went again
        machine.FreeAll();
        Assert.Equal(FaultOutcome.Present, enclave.HandleFault(Heap, PageProtection.None, null));
        Assert.True(machine.Kernel.Poison(enclave.EpcPageAt(Heap)));
        Assert.Equal(FaultOutcome.Poisoned, enclave.HandleFault(Heap, PageProtection.None, null));
        Assert.Equal(-1, enclave.EpcPageAt(Heap));
        machine.EvictAll();
        Assert.Equal(FaultOutcome.Poisoned, enclave.HandleFault(Heap, PageProtection.None, null));
        enclave.Release();
        Assert.Equal((0, 1), (machine.Pool.Used, machine.Pool.Withheld));
    }

    [Fact]
    public void Pages_that_a_thread_inside_holds_stay_and_the_others_are_tracked()
    {
        var machine = new Machine();
        Enclave enclave = TestEnclave.BuildInitialized(machine);
        var logical = new LogicalProcessor();
        var space = new Space { Enclave = enclave };
        machine.EvictAll();
        Assert.Equal(LeafResult.Ok, Enter(machine, enclave, logical, space));
        Assert.True(logical.InEnclave);
        Assert.Equal(3, enclave.Counters.Loads + enclave.Counters.SecsLoads); // TCS, SSA and SECS
        Assert.Equal(FaultOutcome.Present, enclave.HandleFault(Heap, PageProtection.None, null));

        machine.Kernel.Reclaimer.ReclaimBatch();
        Assert.Equal(-1, enclave.EpcPageAt(Heap));
        Assert.NotEqual(-1, enclave.EpcPageAt(Machine.EnclaveBase + TestEnclave.TcsOffset));
        Assert.Equal((2, 1), (enclave.Counters.ETracks, enclave.Counters.Kicks)); // the first when nobody was inside
        machine.EvictAll();
        Assert.False(machine.Kernel.Reclaimer.CanReclaim); // nothing but what the thread holds

        var registers = new RegisterFile();
        machine.Kernel.ExitAsynchronously(logical, ref registers, new byte[4096], new ExitEvent(false, 0, false, 0, 0));
        Assert.True(machine.Kernel.Reclaimer.CanReclaim);
        machine.EvictAll();
        Assert.Equal(1, machine.Pool.Used);
        enclave.Release();
        machine.AssertNothingLeaked();
    }

    [Fact]
    public async Task The_thread_keeps_the_watermarks()
    {
        var machine = new Machine(epcPages: 128);
        using Reclaimer reclaimer = machine.Kernel.Reclaimer;
        reclaimer.Start();
        Enclave enclave = machine.OpenCreated();
        for (ulong page = 0; page < 512; page += 32)
        {
            Assert.Equal(Errno.None, machine.AddPages(enclave, Machine.Pages(page * 4096, 32, measure: false)));
        }

        // Every page can be had, whatever the thread does meanwhile.
        await Task.Run(() =>
        {
            for (ulong page = 0; page < 512; page++)
            {
                long seen = reclaimer.Progress;
                FaultOutcome outcome = enclave.HandleFault(Machine.EnclaveBase + (page * 4096), PageProtection.None, null);
                Assert.True(outcome is FaultOutcome.Present or FaultOutcome.Retry);
                if (outcome == FaultOutcome.Retry)
                {
                    Assert.True(reclaimer.WaitForProgress(seen, TimeSpan.FromSeconds(30)));
                    page--;
                }
            }
        });
        Assert.True(SpinWait.SpinUntil(() => machine.Pool.Free >= 32, TimeSpan.FromSeconds(30)));
        reclaimer.Stop();
        enclave.Release();
        machine.AssertNothingLeaked();
    }

    private static LeafResult Enter(Machine machine, Enclave enclave, LogicalProcessor logical, Space space)
    {
        var registers = new RegisterFile
        {
            Rax = (ulong)EncluLeaf.EENTER,
            Rbx = Machine.EnclaveBase + TestEnclave.TcsOffset,
            Rcx = 0x1000,
        };
        return machine.Kernel.ExecuteEnclu(enclave, logical, ref registers, space, default, out _);
    }

    private static Dictionary<ulong, byte[]> Copy(Machine machine)
        => machine.Platform.LastBacking!.Pages.ToDictionary(page => page.Key, page => page.Value.ToArray());

    private static void Attack(string attack, SortedDictionary<ulong, byte[]> pages, Dictionary<ulong, byte[]> old)
    {
        ulong pcmd = Machine.EnclaveSize + 4096 + (TestEnclave.HeapOffset / 4096 * Pcmd.Size);
        ulong pcmdPage = pcmd / 4096 * 4096;
        switch (attack)
        {
            case "contents":
                pages[TestEnclave.HeapOffset][17] ^= 1;
                break;

            case "pcmd":
                pages[pcmdPage][(int)(pcmd - pcmdPage) + 112] ^= 1;
                break;

            case "older":
                old[TestEnclave.HeapOffset].CopyTo(pages[TestEnclave.HeapOffset], 0);
                old[pcmdPage].AsSpan((int)(pcmd - pcmdPage), Pcmd.Size).CopyTo(pages[pcmdPage].AsSpan((int)(pcmd - pcmdPage)));
                break;

            default:
                pages[TestEnclave.SsaOffset].CopyTo(pages[TestEnclave.HeapOffset], 0);
                ulong from = Machine.EnclaveSize + 4096 + (TestEnclave.SsaOffset / 4096 * Pcmd.Size);
                pages[from / 4096 * 4096].AsSpan((int)(from % 4096), Pcmd.Size).CopyTo(pages[pcmdPage].AsSpan((int)(pcmd - pcmdPage)));
                break;
        }
    }

    /// <summary>An address space that says of pages what the test wants.</summary>
    private sealed class Space : IEnclaveAddressSpace, IProcessAddressSpace
    {
        public HashSet<ulong> Accessed { get; } = [];

        public List<ulong> Zapped { get; } = [];

        public Action? OnZap { get; init; }

        public Enclave? Enclave { get; init; }

        public void TestAndClearAccessed(ReadOnlySpan<ulong> offsets, Span<bool> accessed)
        {
            for (int i = 0; i < offsets.Length; i++)
            {
                accessed[i] |= Accessed.Remove(offsets[i]);
            }
        }

        public void Zap(ReadOnlySpan<ulong> offsets)
        {
            Zapped.AddRange(offsets);
            OnZap?.Invoke();
        }

        public void Restrict(ulong offset, PageProtection epcm) => Assert.Fail("nothing is restricted here");

        public bool TryFindMapping(ulong address, [NotNullWhen(true)] out Enclave? enclave, out PageProtection protection)
        {
            (enclave, protection) = (Enclave!, PageProtection.Read | PageProtection.Write);
            return true;
        }

        public bool TryTranslate(ulong address, AccessKind access, out int epcPage, out PageFaultError error)
        {
            epcPage = Enclave!.EpcPageAt(address);
            error = PageFaultError.User;
            return epcPage >= 0;
        }
    }
}
