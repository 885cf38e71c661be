using System.Runtime.InteropServices;
using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Bench.Processor;

/// <summary>How near the leaves that derive keys come to the CMACs that they consist of.</summary>
internal static class ReportKey
{
    private const int Calls = 20_000;
    private const double Limit = 4;

    /// <summary>Bytes that a key is derived from: KEYDEPENDENCIES.</summary>
    private const int Dependencies = 644;

    /// <summary>Bytes of a report that its MAC covers.</summary>
    private const int ReportBody = 384;

    public static void Run()
    {
        BenchEnclave enclave = new();
        SgxProcessor processor = enclave.Platform.Processor;
        KeyRequest request = default;
        request.KeyName = KeyName.SEAL_KEY;
        MemoryMarshal.Write(enclave.Platform.Frame(5), in request);
        RegisterFile inside = BenchEnclave.Host();
        enclave.Enter(ref inside);
        using AesCmac derivation = new(new byte[AesCmac.BlockLength]);
        byte[] message = new byte[Dependencies];

        void Key()
        {
            for (int i = 0; i < Calls; i++)
            {
                inside.Rbx = BenchEnclave.DataAddress;
                inside.Rcx = BenchEnclave.DataAddress + 2048;
                BenchPlatform.Expect(EGetKey.Execute(processor, enclave.Logical, ref inside, enclave.Platform));
            }
        }

        void BareKey()
        {
            for (int i = 0; i < Calls; i++)
            {
                derivation.Compute(message);
            }
        }

        void Report()
        {
            for (int i = 0; i < Calls; i++)
            {
                inside.Rbx = BenchEnclave.DataAddress + 4096;
                inside.Rcx = BenchEnclave.DataAddress + 4096 + 1024;
                inside.Rdx = BenchEnclave.DataAddress + 4096 + 2048;
                BenchPlatform.Expect(EReport.Execute(processor, enclave.Logical, ref inside, enclave.Platform));
            }
        }

        void BareReport()
        {
            for (int i = 0; i < Calls; i++)
            {
                Key128 key = derivation.Compute(message);
                AesCmac.Compute(key.AsReadOnlySpan(), message.AsSpan(0, ReportBody));
            }
        }

        Print("EGETKEY", Timing.MeasureByTurns(Calls, Key, BareKey, () => { }));
        Print("EREPORT", Timing.MeasureByTurns(Calls, Report, BareReport, () => { }));
    }

    private static void Print(string leaf, (Sample Leaf, Sample Bare, double Ratio) result)
    {
        Console.WriteLine($"  its CMACs alone  {result.Bare} a call");
        Console.WriteLine($"  {leaf,-16} {result.Leaf} a call");
        Console.WriteLine($"  ratio {result.Ratio:N2}: of the time of its bare CMACs (at most {Limit:N1} required)");
    }
}
