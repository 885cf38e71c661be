namespace SoftSgx.Bench.Host;

/// <summary>What `--trace` costs a program that does nothing but ECALLs: told by itself, and by the supervisor.</summary>
internal static class TracedTransitions
{
    private const int Rounds = 5;

    /// <summary>Compares within each round. The traces are made as for a file and go nowhere.</summary>
    public static void Run()
    {
        NativePrograms.Build();
        double[] plain = new double[Rounds], traced = new double[Rounds], exact = new double[Rounds], saved = new double[Rounds], cost = new double[Rounds];
        for (int i = 0; i < Rounds; i++)
        {
            plain[i] = Ecall();
            traced[i] = Ecall("--trace=/dev/null");
            exact[i] = Ecall("--exact", "--trace=/dev/null");
            saved[i] = exact[i] / traced[i];
            cost[i] = traced[i] - plain[i];
        }
        Print("ECALL", plain, "us");
        Print("ECALL, --trace", traced, "us");
        Print("ECALL, --exact --trace", exact, "us");
        Print("--exact --trace / --trace", saved, "");
        Print("what two lines cost", cost, "us");
    }

    private static double Ecall(params string[] options) =>
        NativePrograms.Figures(NativePrograms.Run(NativePrograms.SoftSgx, ["run", .. options, NativePrograms.PathOf("ecall")]))["ecall"];

    private static void Print(string name, double[] values, string unit)
    {
        Array.Sort(values);
        Console.WriteLine($"  {name,-26} {values[values.Length / 2],7:N2} ({values[0]:N2} to {values[^1]:N2}) {unit}");
    }
}
