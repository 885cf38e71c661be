using System.Diagnostics;
using SoftSgx.Kernel;
using SoftSgx.Simulation;

namespace SoftSgx.Bench.Simulation;

/// <summary>What an access costs in a simulation without contents: to a page in the EPC, and to one that is swapped out.</summary>
internal static class SimulatedPaging
{
    private const int PageShift = 12;
    private const int Runs = 1 << 20;
    private const double RequiredAccesses = 5e6;
    private const double RequiredCycles = 300e3;

    public static void Run()
    {
        Resident();
        foreach (ReplacementPolicyKind policy in Enum.GetValues<ReplacementPolicyKind>())
        {
            Cycles(policy);
        }

        Console.WriteLine("  cost by size: an enclave four times the EPC, 64 GiB of EPC at most; its pages spread over all of it");
        Size(enclaveLog2: 30, epcLog2: 28);
        Size(enclaveLog2: 36, epcLog2: 34);
        Size(enclaveLog2: 40, epcLog2: 36);
    }

    private static void Resident()
    {
        ulong pages = 1UL << (30 - PageShift);
        using Simulator simulator = Start(pages, (int)pages + 4096);
        TraceRun[] all = [.. Enumerable.Range(0, (int)pages).Select(static page => new TraceRun((ulong)page, 1, 0, 0, false))];
        simulator.Access(all);
        foreach (string text in new[] { "sequential", "zipf:0.9", "uniform" })
        {
            TraceRun[] runs = Generate(text, pages);
            Sample sample = Timing.Measure(Runs, () => simulator.Access(runs));
            Console.WriteLine($"  in the EPC, {text,-11} {sample} an access, {1e3 / sample.Median:N1} million /s ({RequiredAccesses / 1e6:N0} required)");
        }

        TraceRun[] buffer = new TraceRun[Runs];
        Sample made = Timing.Measure(Runs, () => Fill("zipf:0.9", pages, buffer));
        Console.WriteLine($"  making zipf:0.9         {made} an access");
    }

    // One page after the other on half of what they need: every access is a page fault, an ELDU and an EWB.
    private static void Cycles(ReplacementPolicyKind policy)
    {
        const int EpcPages = 1 << 14;
        const ulong Pages = 2 * EpcPages;
        using Simulator simulator = Start(Pages, EpcPages, policy);
        TraceRun[] runs = [new TraceRun(0, (uint)Pages, 0, 0, false)];
        simulator.Access(runs);
        long before = simulator.Machine.Kernel.Counters.Loads;
        Sample sample = Timing.Measure((long)Pages, () => simulator.Access(runs));
        long loads = simulator.Machine.Kernel.Counters.Loads - before;
        Console.WriteLine(
            $"  paging cycle, {policy,-9} {sample} an access, {1e6 / sample.Median:N0} thousand /s ({RequiredCycles / 1e3:N0} required), {loads:N0} loads");
    }

    private static void Size(int enclaveLog2, int epcLog2)
    {
        ulong enclavePages = 1UL << (enclaveLog2 - PageShift);
        int epcPages = 1 << (epcLog2 - PageShift);

        // So many pages that a quarter of the accesses to them fault, as far apart as the enclave lets them be.
        ulong touched = Math.Min(enclavePages, (ulong)epcPages + ((ulong)epcPages / 3));
        ulong stride = enclavePages / touched;
        using Simulator simulator = Start(enclavePages, epcPages);
        long start = Stopwatch.GetTimestamp();
        TraceRun[] runs = new TraceRun[1 << 16];
        for (ulong page = 0; page < touched;)
        {
            int count = 0;
            for (; count < runs.Length && page < touched; count++, page++)
            {
                runs[count] = new TraceRun(page * stride, 1, 0, 0, true);
            }

            simulator.Access(runs.AsSpan(0, count));
        }

        double fill = Stopwatch.GetElapsedTime(start).TotalNanoseconds / touched;
        SplitMix64 random = new(1);
        PagingCounters before = simulator.Machine.Kernel.Counters;
        TimeSpan elapsed = default;
        const int Rounds = 32;
        for (int round = 0; round < Rounds; round++)
        {
            for (int i = 0; i < runs.Length; i++)
            {
                runs[i] = new TraceRun(random.Below(touched) * stride, 1, 0, 0, true);
            }

            start = Stopwatch.GetTimestamp();
            simulator.Access(runs);
            elapsed += Stopwatch.GetElapsedTime(start);
        }

        PagingCounters after = simulator.Machine.Kernel.Counters;
        double accesses = Rounds * (double)runs.Length;
        Console.WriteLine(
            $"    {Quantity.Format(1UL << enclaveLog2),4} on {Quantity.Format(1UL << epcLog2),4}: {fill,7:N0} ns to add a page, "
            + $"{elapsed.TotalNanoseconds / accesses,7:N0} ns an access of which {(after.Loads - before.Loads) / accesses:P0} fault; "
            + $"{Environment.WorkingSet >> 20:N0} MiB");
    }

    private static Simulator Start(ulong pages, int epcPages, ReplacementPolicyKind policy = ReplacementPolicyKind.Lru) =>
        new([new TraceEnclave(pages, 1)], new SimulationOptions { EpcPages = epcPages, Reclaim = new ReclaimSettings { Policy = policy } });

    private static TraceRun[] Generate(string pattern, ulong pages)
    {
        TraceRun[] runs = new TraceRun[Runs];
        Fill(pattern, pages, runs);
        return runs;
    }

    private static void Fill(string pattern, ulong pages, TraceRun[] runs)
    {
        if (!PatternSpec.TryParse(pattern, out PatternSpec? spec, out string? problem))
        {
            throw new ArgumentException(problem);
        }

        using TraceReader reader = new GeneratedTrace([new GeneratedEnclave(new TraceEnclave(pages, 1), spec!)], runs.Length, seed: 1).Open();
        reader.Read(runs);
    }
}
