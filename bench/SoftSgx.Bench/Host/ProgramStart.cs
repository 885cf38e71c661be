using System.Diagnostics;

namespace SoftSgx.Bench.Host;

/// <summary>What it costs to start a program that does not care for SGX.</summary>
internal static class ProgramStart
{
    private const int Rounds = 15;

    /// <summary>Times whole processes by turns.</summary>
    public static void Run()
    {
        NativePrograms.Build();
        double[] bare = new double[Rounds], supervised = new double[Rounds];
        for (int i = 0; i < Rounds; i++)
        {
            bare[i] = Time(() => NativePrograms.Run("/bin/true"));
            supervised[i] = Time(() => NativePrograms.Run(NativePrograms.SoftSgx, "run", "true"));
        }
        Array.Sort(bare);
        Array.Sort(supervised);
        double median = supervised[Rounds / 2] - bare[Rounds / 2];
        Console.WriteLine($"  true                    {bare[Rounds / 2],7:N1} ms ({bare[0]:N1} to {bare[^1]:N1})");
        Console.WriteLine($"  softsgx run true        {supervised[Rounds / 2],7:N1} ms ({supervised[0]:N1} to {supervised[^1]:N1})");
        Console.WriteLine($"  softsgx adds            {median,7:N1} ms (200 allowed)");
        string peak = NativePrograms.Run(NativePrograms.SoftSgx, "run", "sh", "-c", "grep VmHWM /proc/$PPID/status").Trim();
        Console.WriteLine($"  the supervisor's peak   {peak}");
    }

    private static double Time(Action action)
    {
        long start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }
}
