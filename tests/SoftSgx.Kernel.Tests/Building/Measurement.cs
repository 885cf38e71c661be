using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using SoftSgx.Architecture;

namespace SoftSgx.Kernel.Tests;

/// <summary>
/// MRENCLAVE computed a second time, from the operations alone (SDM vol. 3D, "Measurement"), as a check of the first.
/// </summary>
internal sealed class Measurement
{
    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);

    public Measurement(uint ssaFrameSize, ulong size)
    {
        byte[] record = Record("ECREATE");
        BinaryPrimitives.WriteUInt32LittleEndian(record.AsSpan(8), ssaFrameSize);
        BinaryPrimitives.WriteUInt64LittleEndian(record.AsSpan(12), size);
        _hash.AppendData(record);
    }

    public Hash256 Value => Hash256.From(_hash.GetCurrentHash());

    public void AddPage(ulong offset, in SecInfo secInfo, ReadOnlySpan<byte> contents, ushort measure)
    {
        byte[] record = Record("EADD");
        BinaryPrimitives.WriteUInt64LittleEndian(record.AsSpan(8), offset);
        Bytes.Of(in secInfo)[..48].CopyTo(record.AsSpan(16));
        _hash.AppendData(record);
        for (int block = 0; block < 16; block++)
        {
            if ((measure >> block & 1) != 0)
            {
                byte[] extend = Record("EEXTEND");
                BinaryPrimitives.WriteUInt64LittleEndian(extend.AsSpan(8), offset + ((ulong)block * 256));
                _hash.AppendData(extend);
                _hash.AppendData(contents.Slice(block * 256, 256));
            }
        }
    }

    private static byte[] Record(string name)
    {
        byte[] record = new byte[64];
        Encoding.ASCII.GetBytes(name, record);
        return record;
    }
}
