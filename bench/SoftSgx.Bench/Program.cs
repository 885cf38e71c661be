using System.Runtime.Versioning;
using SoftSgx.Bench;

[assembly: SupportedOSPlatform("linux")]

if (args.Length == 0)
{
    Console.WriteLine("usage: SoftSgx.Bench NAME... | all");
    foreach (Benchmark benchmark in Benchmarks.All)
    {
        Console.WriteLine($"  {benchmark.Name,-16} {benchmark.Summary}");
    }

    return 2;
}

foreach (string name in args)
{
    Benchmark[] chosen = [.. Benchmarks.All.Where(benchmark => name == "all" || benchmark.Name == name)];
    if (chosen.Length == 0)
    {
        Console.Error.WriteLine($"no benchmark is called {name}");
        return 2;
    }

    foreach (Benchmark benchmark in chosen)
    {
        Console.WriteLine($"{benchmark.Name}: {benchmark.Summary}");
        benchmark.Run();
        Console.WriteLine();
    }
}

return 0;
