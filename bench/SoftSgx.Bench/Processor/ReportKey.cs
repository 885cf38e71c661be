using System.Runtime.InteropServices;
using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Bench.Processor;

/// <summary>What the leaves that derive keys cost in the model.</summary>
internal static class ReportKey
{
    private const int Calls = 20_000;

    public static void Run()
    {
        BenchEnclave enclave = new();
        SgxProcessor processor = enclave.Platform.Processor;
        KeyRequest request = default;
        request.KeyName = KeyName.SEAL_KEY;
        MemoryMarshal.Write(enclave.Platform.Frame(5), in request);
        RegisterFile inside = BenchEnclave.Host();
        enclave.Enter(ref inside);

        Sample key = Timing.Measure(Calls, () =>
        {
            for (int i = 0; i < Calls; i++)
            {
                inside.Rbx = BenchEnclave.DataAddress;
                inside.Rcx = BenchEnclave.DataAddress + 2048;
                BenchPlatform.Expect(EGetKey.Execute(processor, enclave.Logical, ref inside, enclave.Platform));
            }
        });

        Sample report = Timing.Measure(Calls, () =>
        {
            for (int i = 0; i < Calls; i++)
            {
                inside.Rbx = BenchEnclave.DataAddress + 4096;
                inside.Rcx = BenchEnclave.DataAddress + 4096 + 1024;
                inside.Rdx = BenchEnclave.DataAddress + 4096 + 2048;
                BenchPlatform.Expect(EReport.Execute(processor, enclave.Logical, ref inside, enclave.Platform));
            }
        });

        Console.WriteLine($"  EGETKEY          {key} a call");
        Console.WriteLine($"  EREPORT          {report} a call");
    }
}
