using System.Security.Cryptography;
using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Bench.Processor;

/// <summary>How near evicting and loading a page come to the encryption that they consist of.</summary>
internal sealed class PagingLeaves : IDisposable
{
    private const int Pages = 256;
    private const int PageSize = 4096;
    private const int TagSize = 16;
    private const int NonceSize = 12;
    private const int VaPage = Pages + 1;
    private const double Limit = 1.5;

    private readonly BenchPlatform _platform = new(Pages + 2);
    private readonly byte[] _evicted = new byte[Pages * PageSize];
    private readonly Pcmd[] _pcmds = new Pcmd[Pages];
    private readonly ulong[] _addresses = new ulong[Pages];

    // The yardstick's own.
    private readonly AesGcm _cipher = new(RandomNumberGenerator.GetBytes(TagSize), TagSize);
    private readonly byte[] _plain = new byte[Pages * PageSize];
    private readonly byte[] _encrypted = new byte[Pages * PageSize];
    private readonly byte[] _tags = new byte[Pages * TagSize];

    private PagingLeaves()
    {
        new Random(1).NextBytes(_plain);
        _platform.Create(Pages * PageSize);
        SecInfo info = SecInfo.For(PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.W);
        for (int i = 0; i < Pages; i++)
        {
            ulong address = BenchPlatform.Base + ((ulong)i * PageSize);
            BenchPlatform.Expect(EAdd.Execute(_platform.Processor, Page(_plain, i), in info, address, 0, i + 1));
        }

        BenchPlatform.Expect(EPa.Execute(_platform.Processor, PageType.PT_VA, VaPage));
    }

    public static void Run()
    {
        using PagingLeaves bench = new();
        bench.Encrypt();
        bench.Block();
        Print("EWB", "Encrypt", Timing.MeasureByTurns(Pages, bench.Evict, bench.Encrypt, bench.LoadAndBlock));
        bench.Evict();
        Print("ELDU", "Decrypt", Timing.MeasureByTurns(Pages, bench.Load, bench.Decrypt, bench.BlockAndEvict));
    }

    public void Dispose() => _cipher.Dispose();

    private static void Print(string leaf, string yardstick, (Sample Leaf, Sample Bare, double Ratio) result)
    {
        Console.WriteLine($"  AesGcm.{yardstick}   {result.Bare} a page");
        Console.WriteLine($"  {leaf,-16} {result.Leaf} a page");
        Console.WriteLine($"  ratio {result.Ratio:N2}: of the time of a bare AES-GCM of 4 KiB (at most {Limit:N1} required)");
    }

    private static Span<byte> Page(byte[] bytes, int index) => bytes.AsSpan(index * PageSize, PageSize);

    private void Encrypt()
    {
        Span<byte> nonce = stackalloc byte[NonceSize];
        nonce.Clear();
        for (int i = 0; i < Pages; i++)
        {
            _cipher.Encrypt(nonce, Page(_plain, i), Page(_encrypted, i), _tags.AsSpan(i * TagSize, TagSize));
        }
    }

    private void Decrypt()
    {
        Span<byte> nonce = stackalloc byte[NonceSize];
        nonce.Clear();
        for (int i = 0; i < Pages; i++)
        {
            _cipher.Decrypt(nonce, Page(_encrypted, i), _tags.AsSpan(i * TagSize, TagSize), Page(_plain, i));
        }
    }

    private void Block()
    {
        for (int i = 0; i < Pages; i++)
        {
            BenchPlatform.Expect(EBlock.Execute(_platform.Processor, i + 1));
        }

        BenchPlatform.Expect(ETrack.Execute(_platform.Processor, 0));
    }

    private void Evict()
    {
        for (int i = 0; i < Pages; i++)
        {
            _addresses[i] = 0;
            BenchPlatform.Expect(EWb.Execute(
                _platform.Processor, Page(_evicted, i), ref _pcmds[i], ref _addresses[i], i + 1, VaPage, i * VersionArray.SlotSize));
        }
    }

    private void Load()
    {
        for (int i = 0; i < Pages; i++)
        {
            BenchPlatform.Expect(ELdu.Execute(
                _platform.Processor, Page(_evicted, i), in _pcmds[i], _addresses[i], 0, i + 1, VaPage, i * VersionArray.SlotSize));
        }
    }

    private void LoadAndBlock()
    {
        Load();
        Block();
    }

    private void BlockAndEvict()
    {
        Block();
        Evict();
    }
}
