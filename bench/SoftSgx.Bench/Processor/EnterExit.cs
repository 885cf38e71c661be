using SoftSgx.Processor;

namespace SoftSgx.Bench.Processor;

/// <summary>What crossing the enclave's border costs in the model, without any trap.</summary>
internal static class EnterExit
{
    private const int Crossings = 200_000;

    public static void Run()
    {
        BenchEnclave enclave = new();
        SgxProcessor processor = enclave.Platform.Processor;
        LogicalProcessor logical = enclave.Logical;
        byte[] xsave = new byte[XsaveLayout.Intel.SizeFor(7)];

        Sample crossing = Timing.Measure(Crossings, () =>
        {
            for (int i = 0; i < Crossings; i++)
            {
                RegisterFile registers = BenchEnclave.Host();
                enclave.Enter(ref registers);
                registers.Rbx = 0x2000;
                BenchPlatform.Expect(EExit.Execute(processor, logical, ref registers));
            }
        });

        RegisterFile inside = BenchEnclave.Host();
        enclave.Enter(ref inside);
        Sample interruption = Timing.Measure(Crossings, () =>
        {
            for (int i = 0; i < Crossings; i++)
            {
                AsynchronousExit.Execute(processor, logical, ref inside, xsave, ExitEvent.Interrupt);
                BenchPlatform.Expect(EResume.Execute(processor, logical, ref inside, enclave.Platform, xsave));
            }
        });

        Console.WriteLine($"  EENTER + EEXIT   {crossing} a pair");
        Console.WriteLine($"  AEX + ERESUME    {interruption} a pair");
    }
}
