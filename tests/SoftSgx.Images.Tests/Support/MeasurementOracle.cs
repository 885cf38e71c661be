using System.Buffers.Binary;
using System.Security.Cryptography;
using SoftSgx.Architecture;

namespace SoftSgx.Images.Tests;

/// <summary>MRENCLAVE worked out from the manual's record layout, without any leaf.</summary>
internal static class MeasurementOracle
{
    public static Hash256 Measure(EnclaveLayout layout)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] record = new byte[64];
        "ECREATE"u8.CopyTo(record);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(8), layout.SsaFrameSize);
        BinaryPrimitives.WriteUInt64LittleEndian(record.AsSpan(12), layout.Size);
        hash.AppendData(record);
        byte[] page = new byte[4096];
        foreach (PageRun run in layout.Runs)
        {
            for (ulong i = 0; i < run.PageCount; i++)
            {
                Page(hash, run, run.Offset + (i * 4096), i, page);
            }
        }

        return Hash256.From(hash.GetHashAndReset());
    }

    private static void Page(IncrementalHash hash, PageRun run, ulong offset, ulong index, byte[] page)
    {
        bool isTcs = ((ulong)run.Flags >> 8 & 0xFF) == 1;
        run.Content.Read(index, page);
        if (isTcs)
        {
            page.AsSpan(0, 8).Clear();      // STATE
            page[8] &= 0xFE;                // FLAGS.DBGOPTIN
            page.AsSpan(24, 4).Clear();     // CSSA
            page.AsSpan(40, 8).Clear();     // AEP
        }

        byte[] record = new byte[64];
        "EADD"u8.CopyTo(record);
        BinaryPrimitives.WriteUInt64LittleEndian(record.AsSpan(8), offset);
        BinaryPrimitives.WriteUInt64LittleEndian(record.AsSpan(16), isTcs ? (ulong)run.Flags & ~7UL : (ulong)run.Flags);
        hash.AppendData(record);
        for (int chunk = 0; chunk < 16; chunk++)
        {
            if ((run.MeasuredChunks & (1 << chunk)) == 0)
            {
                continue;
            }

            Array.Clear(record);
            "EEXTEND"u8.CopyTo(record);
            BinaryPrimitives.WriteUInt64LittleEndian(record.AsSpan(8), offset + (ulong)(chunk * 256));
            hash.AppendData(record);
            hash.AppendData(page, chunk * 256, 256);
        }
    }
}
