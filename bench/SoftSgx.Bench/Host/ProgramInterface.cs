namespace SoftSgx.Bench.Host;

/// <summary>What programs pay for being watched: system calls, processes, and many threads at the border of an enclave.</summary>
internal static class ProgramInterface
{
    private const int Rounds = 5;

    /// <summary>Runs each program with and without softsgx by turns, and compares each turn for itself.</summary>
    public static void Run()
    {
        NativePrograms.Build();
        double[] call = new double[Rounds], callWithDevice = new double[Rounds], processes = new double[Rounds], threads = new double[Rounds];
        double[] enclaveProcesses = new double[Rounds];
        for (int i = 0; i < Rounds; i++)
        {
            IReadOnlyDictionary<string, double> bare = Figures(NativePrograms.PathOf("calls"));
            IReadOnlyDictionary<string, double> watched = Figures(NativePrograms.SoftSgx, "run", NativePrograms.PathOf("calls"));
            IReadOnlyDictionary<string, double> device = Figures(NativePrograms.SoftSgx, "run", NativePrograms.PathOf("calls"), "device");
            call[i] = watched["call"] / bare["call"];
            callWithDevice[i] = device["call"] / bare["call"];
            processes[i] = watched["processes"] / bare["processes"];
            double one = Rate("1");
            threads[i] = Rate("64") / one;
            enclaveProcesses[i] = Rate("1", "2") / one;
        }
        Print("a system call, with / without", call, "(at most 1.6 required)");
        Print("the same, with the device open", callWithDevice, "(at most 1.6 required)");
        Print("1,000 forks and execs", processes, "(at most 4 required)");
        Print("ECALLs, --exact, 64 threads / 1", threads, "(at least 1 required)");
        Print("the same, 2 processes / 1", enclaveProcesses, "(on two processors)");
    }

    private static double Rate(params string[] counts) => Figures(NativePrograms.SoftSgx, ["run", "--exact", NativePrograms.PathOf("ecall_threads"), .. counts])["rate"];

    private static IReadOnlyDictionary<string, double> Figures(string program, params string[] arguments) =>
        NativePrograms.Figures(NativePrograms.Run(program, arguments));

    private static void Print(string name, double[] ratios, string requirement)
    {
        Array.Sort(ratios);
        Console.WriteLine($"  {name,-31} {ratios[ratios.Length / 2],5:N2} ({ratios[0]:N2} to {ratios[^1]:N2}) {requirement}");
    }
}
