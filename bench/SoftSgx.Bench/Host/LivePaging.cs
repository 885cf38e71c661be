using System.Globalization;
using System.Text.Json;

namespace SoftSgx.Bench.Host;

/// <summary>How fast pages come and go in a live program, against the floor of the mechanism.</summary>
internal static class LivePaging
{
    private const int Rounds = 5;
    private const string Epc = "16M";
    private const string Mebibytes = "64";

    /// <summary>Each is 16,384 pages in order: with a quarter of them in the EPC, none is there when its turn comes.</summary>
    private const int Cycles = 3;

    /// <summary>Runs floor, one thread and two threads by turns, and compares each turn for itself.</summary>
    public static void Run()
    {
        NativePrograms.Build();
        int[] cores = AllowedCores();
        string one = Text(cores[0]);
        string? two = cores.Length > 1 ? $"{one},{Text(cores[1])}" : null;
        Series floor = new("floor"), batches = new("floor, holes by sixteen"), process = new("floor, other process");
        Series single = new("one thread, one core"), loads = new("  loads"), pair = new("two threads, two cores");
        Series ratio = new("one thread / floor"), pairRatio = new("two threads / one");
        for (int i = 0; i < Rounds; i++)
        {
            IReadOnlyDictionary<string, double> figures =
                NativePrograms.Figures(NativePrograms.Run("taskset", "-c", one, NativePrograms.PathOf("paging_floor")));
            floor.Add(figures["floor"]);
            batches.Add(figures["floor_batches"]);
            process.Add(figures["floor_process"]);
            (double evictionRate, double loadRate) = Rates(one, threads: 1);
            single.Add(evictionRate);
            loads.Add(loadRate);
            ratio.Add(evictionRate / figures["floor"]);
            if (two is not null)
            {
                (double pairRate, _) = Rates(two, threads: 2);
                pair.Add(pairRate);
                pairRatio.Add(pairRate / evictionRate);
            }
        }
        const string unit = "pages/s";
        floor.Print("N0", unit);
        batches.Print("N0", unit);
        process.Print("N0", unit);
        single.Print("N0", unit + " evicted");
        loads.Print("N0", unit + " loaded");
        ratio.Print("N2", "(0.7 required)");
        if (two is null)
        {
            Console.WriteLine("  two threads             not measured: only one core may be used");
            return;
        }
        pair.Print("N0", unit + " evicted");
        pairRatio.Print("N2", "(0.9 required)");
    }

    /// <summary>Pages evicted and loaded in a second while the enclave works; what its construction evicted is left out.</summary>
    private static (double Evictions, double Loads) Rates(string cores, int threads)
    {
        (double evictedBefore, double loadedBefore, _) = Counters(cores, threads, 0);
        (double evicted, double loaded, double seconds) = Counters(cores, threads, Cycles);
        return ((evicted - evictedBefore) / seconds, (loaded - loadedBefore) / seconds);
    }

    private static (double Evictions, double Loads, double Seconds) Counters(string cores, int threads, int cycles)
    {
        string file = NativePrograms.PathOf("paging.stats.json");
        string output = NativePrograms.Run(
            "taskset", "-c", cores, NativePrograms.SoftSgx, "run", "--epc", Epc, "--stats", file,
            NativePrograms.PathOf("paging"), Mebibytes, Text(threads), Text(cycles));
        using JsonDocument statistics = JsonDocument.Parse(File.ReadAllText(file));
        JsonElement total = statistics.RootElement.GetProperty("total");
        return (total.GetProperty("evictions").GetDouble(), total.GetProperty("loads").GetDouble(), NativePrograms.Figures(output)["seconds"]);
    }

    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);

    /// <summary>The cores that this process may use, from /proc/self/status: "0-3,8".</summary>
    private static int[] AllowedCores()
    {
        const string key = "Cpus_allowed_list:";
        string list = File.ReadLines("/proc/self/status").First(static line => line.StartsWith(key, StringComparison.Ordinal))[key.Length..].Trim();
        return
        [
            .. list.Split(',').SelectMany(static range =>
            {
                int[] ends = [.. range.Split('-').Select(static number => int.Parse(number, CultureInfo.InvariantCulture))];
                return Enumerable.Range(ends[0], ends[^1] - ends[0] + 1);
            }),
        ];
    }

    /// <summary>The values of one figure over the rounds.</summary>
    private sealed class Series(string name)
    {
        private readonly List<double> _values = [];

        public void Add(double value) => _values.Add(value);

        public void Print(string format, string unit)
        {
            _values.Sort();
            string Value(double value) => value.ToString(format, CultureInfo.InvariantCulture);
            Console.WriteLine($"  {name,-24} {Value(_values[_values.Count / 2]),9} ({Value(_values[0])} to {Value(_values[^1])}) {unit}");
        }
    }
}
