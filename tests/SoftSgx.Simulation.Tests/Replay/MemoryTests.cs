using SoftSgx.Kernel;
using SoftSgx.Tests;

namespace SoftSgx.Simulation.Tests;

/// <summary>What a simulation without contents costs in memory and allocations. Alone, since others would count too.</summary>
[Collection("alone")]
public class MemoryTests
{
    private const int Limit = 64;

    [Fact]
    public void An_EPC_page_costs_at_most_64_bytes()
    {
        const int Pages = 1 << 18;
        TraceEnclave[] enclaves = [new TraceEnclave(Pages, 1)];
        foreach (ReplacementPolicyKind policy in Enum.GetValues<ReplacementPolicyKind>())
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            using Simulator simulator = new(
                enclaves, new SimulationOptions { EpcPages = Pages, Reclaim = new ReclaimSettings { Policy = policy } });
            double bytes = (double)(GC.GetAllocatedBytesForCurrentThread() - before) / Pages;
            Assert.InRange(bytes, 1, Limit);
        }
    }

    [Fact]
    public void An_enclave_page_costs_at_most_64_bytes_in_the_EPC_and_out_of_it()
    {
        const int EpcPages = 1 << 13;
        const int Pages = 1 << 18;
        using Simulator simulator = new([new TraceEnclave(Pages, 1)], new SimulationOptions { EpcPages = EpcPages });
        simulator.Access([new TraceRun(0, 1, 0, 0, false)]);
        long before = Settled();
        simulator.Access([new TraceRun(0, Pages, 0, 0, true)]);
        double bytes = (double)(Settled() - before) / Pages;
        Assert.Equal(Pages, simulator.Machine.Kernel.Counters.EnclavePages);
        Assert.InRange(bytes, 1, Limit);
    }

    [Fact]
    public void Accesses_and_paging_allocate_nothing()
    {
        using Simulator simulator = new([new TraceEnclave(4096, 1)], new SimulationOptions { EpcPages = 2048 });
        TraceRun[] runs = [new TraceRun(0, 4096, 0, 0, true)];
        simulator.Access(runs);
        simulator.Access(runs);
        Assert.Equal(0, Allocations.Of(() => simulator.Access(runs)));
    }

    private static long Settled()
    {
        GC.Collect(2, GCCollectionMode.Forced, blocking: true, compacting: true);
        GC.WaitForPendingFinalizers();
        return GC.GetTotalMemory(forceFullCollection: true);
    }
}

/// <summary>Tests that measure the whole process.</summary>
[CollectionDefinition("alone", DisableParallelization = true)]
#pragma warning disable CA1711 // xunit's word for it.
public class AloneCollection;
#pragma warning restore CA1711
