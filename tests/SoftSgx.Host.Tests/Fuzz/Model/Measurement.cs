using System.Buffers.Binary;
using System.Security.Cryptography;
using SoftSgx.Architecture;

namespace SoftSgx.Host.Tests.Fuzz.Model;

/// <summary>MRENCLAVE as it grows: SHA-256 over a record of 64 bytes for each step (SDM vol. 3D, ECREATE, EADD, EEXTEND).</summary>
internal sealed class Measurement : IDisposable
{
    private const int Block = 256;

    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

    internal Measurement(uint ssaPages, ulong size)
    {
        Span<byte> record = stackalloc byte[64];
        record.Clear();
        "ECREATE"u8.CopyTo(record);
        BinaryPrimitives.WriteUInt32LittleEndian(record[8..], ssaPages);
        BinaryPrimitives.WriteUInt64LittleEndian(record[12..], size);
        _hash.AppendData(record);
    }

    internal Hash256 Value
    {
        get
        {
            Hash256 value = default;
            _hash.GetCurrentHash(value.AsSpan());
            return value;
        }
    }

    /// <summary>A page was added; each bit of the mask says that 256 bytes of it were measured.</summary>
    internal void Add(ulong offset, ulong secInfo, ReadOnlySpan<byte> page, ulong mask)
    {
        Span<byte> record = stackalloc byte[64];
        record.Clear();
        "EADD"u8.CopyTo(record);
        BinaryPrimitives.WriteUInt64LittleEndian(record[8..], offset);
        BinaryPrimitives.WriteUInt64LittleEndian(record[16..], secInfo);
        _hash.AppendData(record);
        for (int i = 0; i < 16; i++)
        {
            if ((mask >> i & 1) != 0)
            {
                record.Clear();
                "EEXTEND"u8.CopyTo(record);
                BinaryPrimitives.WriteUInt64LittleEndian(record[8..], offset + (ulong)(i * Block));
                _hash.AppendData(record);
                _hash.AppendData(page.Slice(i * Block, Block));
            }
        }
    }

    public void Dispose() => _hash.Dispose();
}
