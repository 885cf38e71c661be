namespace SoftSgx.Bench.Host;

/// <summary>Entering and leaving enclaves without a trap, against a system call; and computing under a hail of signals.</summary>
internal static class Transitions
{
    private const int Rounds = 5;
    private const string SignalsPerSecond = "10000";

    /// <summary>Compares within each round.</summary>
    public static void Run()
    {
        NativePrograms.Build();
        string program = NativePrograms.PathOf("transitions");
        double[] call = new double[Rounds], vdso = new double[Rounds], direct = new double[Rounds], threads = new double[Rounds], signals = new double[Rounds];
        double[] againstBare = new double[Rounds], ordinary = new double[Rounds], bareStop = new double[Rounds], withRegisters = new double[Rounds];
        for (int i = 0; i < Rounds; i++)
        {
            double bare = Figures(NativePrograms.PathOf("calls"))["call"];
            IReadOnlyDictionary<string, double> figures = Figures(NativePrograms.SoftSgx, "run", program);
            call[i] = figures["call"];
            vdso[i] = figures["vdso"] / figures["call"];
            direct[i] = figures["direct"] / figures["call"];
            againstBare[i] = figures["vdso"] / bare;
            threads[i] = Rate("64") / Rate("1");
            // On one processor: with a wake-up across processors for each stop, so many signals leave no time to compute.
            double outside = OnOneProcessor(program, "outside", SignalsPerSecond);
            signals[i] = OnOneProcessor(NativePrograms.SoftSgx, "run", program, "signals", SignalsPerSecond) / outside;
            ordinary[i] = OnOneProcessor(NativePrograms.SoftSgx, "run", program, "outside", SignalsPerSecond) / outside;
            bareStop[i] = OnOneProcessor(NativePrograms.PathOf("signal_floor"), "stop", program, "outside", SignalsPerSecond) / outside;
            withRegisters[i] = OnOneProcessor(NativePrograms.PathOf("signal_floor"), "registers", program, "outside", SignalsPerSecond) / outside;
        }
        Print("getppid of such a program", call, "ns");
        Print("ECALL by the vDSO / getppid", vdso, "(at most 2.0 required)");
        Print("  / getppid without softsgx", againstBare, "");
        Print("ECALL by a patched ENCLU / getppid", direct, "(at most 2.5 required)");
        Print("ECALL rate, 64 threads / one", threads, "(at least 1.8 required)");
        Print("10,000 signals/s, in a program", ordinary, "(at least 0.9 of the same without softsgx required)");
        Print("  in an enclave", signals, ""); // of the same computation outside of both: there is no enclave without softsgx
        Print("  a bare stop for each, in C", bareStop, "");
        Print("  and registers there and back", withRegisters, "");
    }

    private static double OnOneProcessor(params string[] command) => Figures("taskset", ["-c", "0", .. command])["rounds"];

    private static double Rate(string threads) => Figures(NativePrograms.SoftSgx, "run", NativePrograms.PathOf("ecall_threads"), threads)["rate"];

    private static IReadOnlyDictionary<string, double> Figures(string program, params string[] arguments) =>
        NativePrograms.Figures(NativePrograms.Run(program, arguments));

    private static void Print(string name, double[] values, string unit)
    {
        Array.Sort(values);
        Console.WriteLine($"  {name,-35} {values[values.Length / 2],7:N2} ({values[0]:N2} to {values[^1]:N2}) {unit}");
    }
}
