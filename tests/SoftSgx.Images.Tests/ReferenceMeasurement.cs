using System.Buffers.Binary;
using System.Security.Cryptography;

namespace SoftSgx.Images.Tests;

/// <summary>
/// MRENCLAVE by hashing the records of ECREATE, EADD and EEXTEND that a layout makes: an oracle that shares nothing with the processor.
/// SDM vol. 3D, the measurements in the operations of ECREATE, EADD and EEXTEND.
/// </summary>
internal static class ReferenceMeasurement
{
    internal static string Of(EnclaveLayout layout)
    {
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        byte[] record = new byte[64];
        "ECREATE\0"u8.CopyTo(record);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(8), layout.SsaFrameSize);
        BinaryPrimitives.WriteUInt64LittleEndian(record.AsSpan(12), layout.Size);
        hash.AppendData(record);
        byte[] page = new byte[4096];
        foreach (PageRun run in layout.Runs)
        {
            for (ulong i = 0; i < run.PageCount; i++)
            {
                ulong offset = run.Offset + (i * 4096);
                record.AsSpan().Clear();
                "EADD\0\0\0\0"u8.CopyTo(record);
                BinaryPrimitives.WriteUInt64LittleEndian(record.AsSpan(8), offset);
                BinaryPrimitives.WriteUInt64LittleEndian(record.AsSpan(16), (ulong)run.Flags);
                hash.AppendData(record);
                run.Content.Read(i, page);
                for (int chunk = 0; chunk < 16; chunk++)
                {
                    if ((run.MeasuredChunks & (1 << chunk)) != 0)
                    {
                        record.AsSpan().Clear();
                        "EEXTEND\0"u8.CopyTo(record);
                        BinaryPrimitives.WriteUInt64LittleEndian(record.AsSpan(8), offset + ((ulong)chunk * 256));
                        hash.AppendData(record);
                        hash.AppendData(page.AsSpan(chunk * 256, 256));
                    }
                }
            }
        }

        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }
}
