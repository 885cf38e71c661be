using System.Security.Cryptography;
using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Bench.Processor;

/// <summary>An initialised enclave of eight pages: TCS, two SSA frames, data.</summary>
internal sealed class BenchEnclave
{
    private const int Pages = 8;

    public BenchEnclave()
    {
        Platform = new BenchPlatform(Pages + 1);
        Platform.Create(Pages * 4096UL);
        Tcs tcs = default;
        tcs.OSsa = 4096;
        tcs.NSsa = 2;
        Add(0, Bytes.Of(in tcs), PageType.PT_TCS, SecInfoFlags.None);
        for (int i = 1; i < Pages; i++)
        {
            Add(i, new byte[4096], PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.W);
        }

        Initialize();
    }

    public BenchPlatform Platform { get; }

    public LogicalProcessor Logical { get; } = new();

    public static ulong DataAddress => BenchPlatform.Base + (4 * 4096);

    public static RegisterFile Host() => new() { Rbx = BenchPlatform.Base, Rcx = 0x1000, Rip = 0x2000, Rflags = 0x202 };

    public void Enter(ref RegisterFile registers) =>
        BenchPlatform.Expect(EEnter.Execute(Platform.Processor, Logical, ref registers, Platform));

    private void Add(int index, ReadOnlySpan<byte> contents, PageType type, SecInfoFlags permissions)
    {
        SecInfo info = SecInfo.For(type, permissions);
        BenchPlatform.Expect(EAdd.Execute(Platform.Processor, contents, in info, BenchPlatform.Base + ((ulong)index << 12), 0, index + 1));
    }

    private void Initialize()
    {
        SigStruct sig = default;
        sig.EnclaveHash = Measure();
        new BenchSigner().Sign(ref sig);
        Logical.LePubKeyHash = EnclaveSignature.MrSigner(in sig);
        BenchPlatform.Expect(EInit.Execute(Platform.Processor, Logical, Bytes.Of(in sig), 0, new byte[EInitToken.Size]));
    }

    private static Hash256 Measure()
    {
        byte[] log = new byte[64 * (Pages + 1)];
        "ECREATE"u8.CopyTo(log);
        BitConverter.TryWriteBytes(log.AsSpan(8), 1u);
        BitConverter.TryWriteBytes(log.AsSpan(12), Pages * 4096UL);
        for (int i = 0; i < Pages; i++)
        {
            Span<byte> record = log.AsSpan(64 * (i + 1), 64);
            "EADD"u8.CopyTo(record);
            BitConverter.TryWriteBytes(record[8..], (ulong)i << 12);
            BitConverter.TryWriteBytes(record[16..], i == 0 ? 0x100UL : 0x203UL);
        }

        return Hash256.From(SHA256.HashData(log));
    }
}
