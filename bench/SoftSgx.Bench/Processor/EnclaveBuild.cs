using System.Security.Cryptography;
using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Bench.Processor;

/// <summary>How near building a fully measured enclave comes to the hash that it consists of.</summary>
internal static class EnclaveBuild
{
    private const int Pages = 1024;
    private const int MeasuredPerPage = 64 + (16 * (64 + 256));
    private const double Required = 0.6;

    public static void Run()
    {
        BenchPlatform platform = new(Pages + 1);
        byte[] measured = new byte[Pages * MeasuredPerPage];
        byte[] source = new byte[4096];
        byte[] digest = new byte[32];
        Random random = new(1);
        random.NextBytes(measured);
        random.NextBytes(source);
        SecInfo info = SecInfo.For(PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.W);
        long leavesAllocated = 0;
        int builds = 0;

        void Hash() => SHA256.HashData(measured, digest);

        void Build()
        {
            platform.Create(Pages * 4096UL);
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < Pages; i++)
            {
                BenchPlatform.Expect(EAdd.Execute(platform.Processor, source, in info, BenchPlatform.Base + ((ulong)i << 12), 0, i + 1));
                for (int offset = 0; offset < 4096; offset += EExtend.ChunkLength)
                {
                    BenchPlatform.Expect(EExtend.Execute(platform.Processor, 0, i + 1, offset));
                }
            }

            leavesAllocated += GC.GetAllocatedBytesForCurrentThread() - before;
            builds++;
        }

        (Sample hash, Sample build, double ratio) = Timing.MeasureByTurns(Pages, Hash, Build, () => Remove(platform));
        Console.WriteLine($"  SHA-256 alone    {hash} a page, {MeasuredPerPage * 1000.0 / hash.Median:N0} MB/s");
        Console.WriteLine($"  enclave build    {build} a page, {MeasuredPerPage * 1000.0 / build.Median:N0} MB/s measured");
        Console.WriteLine($"  EADD and EEXTEND allocate {(double)leavesAllocated / ((long)builds * Pages):N3} bytes a page");
        Console.WriteLine($"  ratio {ratio:N2}: of the rate of one SHA-256 over the same bytes ({Required:N1} required)");
    }

    private static void Remove(BenchPlatform platform)
    {
        for (int i = Pages; i >= 0; i--)
        {
            BenchPlatform.Expect(ERemove.Execute(platform.Processor, i));
        }
    }
}
