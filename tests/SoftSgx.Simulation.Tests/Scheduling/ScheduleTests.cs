using System.Globalization;
using Xunit.Abstractions;

namespace SoftSgx.Simulation.Tests;

public class ScheduleTests(ITestOutputHelper output)
{
    /// <summary>SOFTSGX_SEED replays one seed, or "first-last" some.</summary>
    [Fact]
    public void Races_of_the_kernel_lose_no_byte_and_leak_no_page()
    {
        (ulong first, ulong last) = Seeds();
        long steps = 0;
        long accesses = 0;
        long evictions = 0;
        for (ulong seed = first; seed <= last; seed++)
        {
            using Scenario scenario = new(seed);
            scenario.Run();
            steps += scenario.Steps;
            accesses += scenario.Accesses;
            evictions += scenario.Counters.Evictions;
        }

        output.WriteLine($"{last - first + 1} seeds, {steps} points, {accesses} accesses, {evictions} evictions");
    }

    private static (ulong First, ulong Last) Seeds()
    {
        string text = Environment.GetEnvironmentVariable("SOFTSGX_SEED") ?? "";
        if (text.Length > 0)
        {
            ulong[] ends = [.. text.Split('-').Select(static end => ulong.Parse(end, CultureInfo.InvariantCulture))];
            return (ends[0], ends[^1]);
        }

        return (1, Environment.GetEnvironmentVariable("SOFTSGX_SOAK") == "1" ? 50_000UL : 2_000UL);
    }
}
