using System.Buffers.Binary;
using System.Diagnostics;
using System.Security.Cryptography;
using SoftSgx.Architecture;
using SoftSgx.Images;

namespace SoftSgx.Bench.Images;

/// <summary>How near measuring an enclave comes to the hash that it consists of, by what its pages are; and the memory it takes.</summary>
internal static class Measuring
{
    private const double Required = 0.8;
    private const int RecordLength = 64;
    private const int ChunkLength = 256;
    private const ulong HugeHeap = 128UL << 30;

    private static readonly SecInfoFlags s_data = SecInfo.For(PageType.PT_REG, SecInfoFlags.R | SecInfoFlags.W).Flags;

    public static void Run()
    {
        byte[] contents = new byte[2048 * PageContent.PageSize];
        new Random(1).NextBytes(contents);

        Compare("measured pages", new PageRun(0, 2048, s_data, PageRun.AllChunks, PageContent.Of(contents), "data"));
        Compare("measured zero pages", new PageRun(0, 2048, s_data, PageRun.AllChunks, PageContent.Zero, "bss"));
        Compare("unmeasured pages", new PageRun(0, 1 << 18, s_data, 0, PageContent.Zero, "heap"));
        Huge();
    }

    private static void Compare(string what, PageRun run)
    {
        EnclaveLayout layout = new(1UL << 40, 1, [run]);
        byte[] stream = Stream(layout, run);
        byte[] digest = new byte[32];
        EnclaveMeasurement measurement = default;
        int pages = (int)run.PageCount;

        (Sample hash, Sample measure, double ratio) = Timing.MeasureByTurns(
            pages, () => SHA256.HashData(stream, digest), () => measurement = EnclaveMeasurer.Measure(layout), static () => { });
        if (Hash256.From(digest) != measurement.MrEnclave || measurement.HashedBytes != (UInt128)stream.Length)
        {
            throw new InvalidOperationException("the measurement is not the hash of the stream that it is compared with");
        }

        double bytes = (double)stream.Length / pages;
        Console.WriteLine($"  {what}");
        Console.WriteLine($"    SHA-256 alone  {hash} a page, {bytes * 1000 / hash.Median:N0} MB/s");
        Console.WriteLine($"    measure        {measure} a page, {bytes * 1000 / measure.Median:N0} MB/s");
        Console.WriteLine($"    ratio {ratio:N2} ({Required:N1} required)");
    }

    private static void Huge()
    {
        EnclaveLayout layout = new(HugeHeap * 2, 1, [new PageRun(0, HugeHeap / PageContent.PageSize, s_data, 0, PageContent.Zero, "heap")]);
        long allocated = GC.GetAllocatedBytesForCurrentThread();
        long start = Stopwatch.GetTimestamp();
        EnclaveMeasurer.Measure(layout);
        Console.WriteLine(
            $"  128 GiB of heap: {Stopwatch.GetElapsedTime(start).TotalSeconds:N2} s, {GC.GetAllocatedBytesForCurrentThread() - allocated:N0} bytes allocated");
    }

    /// <summary>What enters MRENCLAVE, from the manual's record layout and nothing else.</summary>
    private static byte[] Stream(EnclaveLayout layout, PageRun run)
    {
        using MemoryStream stream = new();
        byte[] record = new byte[RecordLength];
        byte[] page = new byte[PageContent.PageSize];
        "ECREATE\0"u8.CopyTo(record);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(8), layout.SsaFrameSize);
        BinaryPrimitives.WriteUInt64LittleEndian(record.AsSpan(12), layout.Size);
        stream.Write(record);
        for (ulong i = 0; i < run.PageCount; i++)
        {
            ulong offset = run.Offset + (i * PageContent.PageSize);
            Array.Clear(record);
            "EADD\0\0\0\0"u8.CopyTo(record);
            BinaryPrimitives.WriteUInt64LittleEndian(record.AsSpan(8), offset);
            BinaryPrimitives.WriteUInt64LittleEndian(record.AsSpan(16), (ulong)run.Flags);
            stream.Write(record);
            run.Content.Read(i, page);
            for (int chunk = 0; run.MeasuredChunks != 0 && chunk < PageContent.PageSize; chunk += ChunkLength)
            {
                Array.Clear(record);
                "EEXTEND\0"u8.CopyTo(record);
                BinaryPrimitives.WriteUInt64LittleEndian(record.AsSpan(8), offset + (uint)chunk);
                stream.Write(record);
                stream.Write(page, chunk, ChunkLength);
            }
        }

        return stream.ToArray();
    }
}
