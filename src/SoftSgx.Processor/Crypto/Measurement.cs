using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// MRENCLAVE while an enclave is being built: SHA-256 over 64-byte records of what the leaves did.
/// SDM vol. 3D, "Constructing an enclave" (measurement) and the pseudo-code of ECREATE, EADD and EEXTEND.
/// </summary>
/// <remarks>
/// <code>
/// ECREATE   "ECREATE\0" | SSAFRAMESIZE 4 | SIZE 8 | zero 44
/// EADD      "EADD\0\0\0\0" | offset in the enclave 8 | first 48 bytes of SECINFO
/// EEXTEND   "EEXTEND\0" | offset in the enclave 8 | zero 48, then the 256 bytes themselves
/// </code>
/// Records gather in a small buffer, because a call into the hash costs as much as hashing a record does.
/// </remarks>
internal sealed class Measurement : IDisposable
{
    private const int RecordLength = 64;
    private const int SecInfoMeasuredLength = 48;
    private const int PageSize = 4096;
    private const int FullyMeasuredPage = RecordLength + (16 * (RecordLength + EExtend.ChunkLength));
    private const int StagingLength = 3 * FullyMeasuredPage;

    private readonly IncrementalHash _hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    private byte[] _staging = new byte[StagingLength];
    private int _staged;

    /// <summary>Measures ECREATE.</summary>
    public void Create(uint ssaFrameSize, ulong size)
    {
        Span<byte> record = Next(RecordLength);
        record.Clear();
        "ECREATE"u8.CopyTo(record);
        BinaryPrimitives.WriteUInt32LittleEndian(record[8..], ssaFrameSize);
        BinaryPrimitives.WriteUInt64LittleEndian(record[12..], size);
    }

    /// <summary>Measures EADD of a page at <paramref name="offset"/> from the enclave's base.</summary>
    public void Add(ulong offset, in SecInfo secInfo)
    {
        ref AddRecord record = ref MemoryMarshal.AsRef<AddRecord>(Next(RecordLength));
        record = AddRecord.Of(in secInfo);
        record.Offset = offset;
    }

    /// <summary>Measures EADD of <paramref name="count"/> consecutive pages that differ in nothing but their offset.</summary>
    public void AddRun(ulong offset, ulong count, in SecInfo secInfo)
    {
        AddRecord template = AddRecord.Of(in secInfo);
        while (count > 0)
        {
            int room = (StagingLength - _staged) / RecordLength;
            if (room == 0)
            {
                Flush();
                continue;
            }

            int batch = (int)Math.Min((ulong)room, count);
            foreach (ref AddRecord record in MemoryMarshal.Cast<byte, AddRecord>(Next(batch * RecordLength)))
            {
                record = template;
                record.Offset = offset;
                offset += PageSize;
            }

            count -= (ulong)batch;
        }
    }

    /// <summary>Measures EEXTEND of 256 bytes at <paramref name="offset"/> from the enclave's base.</summary>
    public void Extend(ulong offset, ReadOnlySpan<byte> chunk)
    {
        Span<byte> record = Next(RecordLength + EExtend.ChunkLength);
        BinaryPrimitives.WriteUInt64LittleEndian(record, 0x00444E4554584545);
        BinaryPrimitives.WriteUInt64LittleEndian(record[8..], offset);
        record[16..RecordLength].Clear();
        chunk[..EExtend.ChunkLength].CopyTo(record[RecordLength..]);
    }

    /// <summary>MRENCLAVE of what was measured so far; measuring may go on afterwards.</summary>
    public Hash256 Current()
    {
        Flush();
        Hash256 digest = default;
        _hash.GetCurrentHash(digest.AsSpan());
        return digest;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _hash.Dispose();
        _staging = [];
    }

    private Span<byte> Next(int length)
    {
        if (_staged + length > StagingLength)
        {
            Flush();
        }

        Span<byte> record = _staging.AsSpan(_staged, length);
        _staged += length;
        return record;
    }

    private void Flush()
    {
        _hash.AppendData(_staging.AsSpan(0, _staged));
        _staged = 0;
    }

    /// <summary>The record of EADD.</summary>
    [StructLayout(LayoutKind.Sequential, Pack = 1)]
    private struct AddRecord
    {
        private const ulong EAdd = 0x44444145;

        private ulong _tag;
        public ulong Offset;
        private SecInfoStart _secInfo;

        public static AddRecord Of(in SecInfo secInfo) =>
            new() { _tag = EAdd, _secInfo = MemoryMarshal.Read<SecInfoStart>(Bytes.Of(in secInfo)) };
    }

    [InlineArray(SecInfoMeasuredLength / sizeof(ulong))]
    private struct SecInfoStart
    {
#pragma warning disable IDE0044, IDE0051 // The one field of an inline array cannot be read-only, and is used as its elements.
        private ulong _first;
#pragma warning restore IDE0044, IDE0051
    }
}
