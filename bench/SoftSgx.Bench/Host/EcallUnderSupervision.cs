namespace SoftSgx.Bench.Host;

/// <summary>What crossing the border of an enclave costs in a live program, against the floor of the mechanism.</summary>
internal static class EcallUnderSupervision
{
    private const int Rounds = 7;

    /// <summary>Runs floor and ECALL by turns, each on whatever processor it finds, and compares each turn for itself.</summary>
    public static void Run()
    {
        NativePrograms.Build();
        double[] floor = new double[Rounds], ecall = new double[Rounds], ratio = new double[Rounds], compute = new double[Rounds];
        double memory = 0;
        for (int i = 0; i < Rounds; i++)
        {
            floor[i] = NativePrograms.Figures(NativePrograms.Run(NativePrograms.PathOf("floor")))["floor"];
            IReadOnlyDictionary<string, double> figures =
                NativePrograms.Figures(NativePrograms.Run(NativePrograms.SoftSgx, "run", "--exact", NativePrograms.PathOf("ecall")));
            ecall[i] = figures["ecall"];
            ratio[i] = ecall[i] / floor[i];
            compute[i] = figures["compute_inside"] / figures["compute_outside"];
            memory = Math.Max(memory, figures["supervisor"]);
        }
        Print("two bare ptrace stops", floor, "us");
        Print("ECALL, --exact", ecall, "us");
        Print("ratio", ratio, "(at most 1.3 required)");
        Print("time inside / outside", compute, "(1.00 required, within noise)");
        Console.WriteLine($"  supervisor              {memory:N1} MiB at most beside the EPC (120 required)");
    }

    private static void Print(string name, double[] values, string unit)
    {
        Array.Sort(values);
        Console.WriteLine($"  {name,-22} {values[values.Length / 2],7:N2} ({values[0]:N2} to {values[^1]:N2}) {unit}");
    }
}
