using System.Buffers.Binary;
using System.Security.Cryptography;
using SoftSgx.Architecture;

namespace SoftSgx.Processor.Tests;

/// <summary>MRENCLAVE worked out a second time, from the manual's record layout and nothing else.</summary>
internal sealed class MeasurementLog
{
    private readonly List<byte> _log = [];

    public MeasurementLog Create(uint ssaFrameSize, ulong size)
    {
        byte[] record = new byte[64];
        "ECREATE\0"u8.CopyTo(record);
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(8), ssaFrameSize);
        BinaryPrimitives.WriteUInt64LittleEndian(record.AsSpan(12), size);
        _log.AddRange(record);
        return this;
    }

    public MeasurementLog Add(ulong offset, ulong secInfoFlags)
    {
        byte[] record = new byte[64];
        "EADD\0\0\0\0"u8.CopyTo(record);
        BinaryPrimitives.WriteUInt64LittleEndian(record.AsSpan(8), offset);
        BinaryPrimitives.WriteUInt64LittleEndian(record.AsSpan(16), secInfoFlags);
        _log.AddRange(record);
        return this;
    }

    public MeasurementLog Extend(ulong offset, ReadOnlySpan<byte> page)
    {
        for (int i = 0; i < page.Length; i += 256)
        {
            byte[] record = new byte[64];
            "EEXTEND\0"u8.CopyTo(record);
            BinaryPrimitives.WriteUInt64LittleEndian(record.AsSpan(8), offset + (ulong)i);
            _log.AddRange(record);
            _log.AddRange(page.Slice(i, 256));
        }

        return this;
    }

    public Hash256 Digest() => Hash256.From(SHA256.HashData(_log.ToArray()));
}
