using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>What measuring a layout came to.</summary>
/// <param name="MrEnclave">MRENCLAVE.</param>
/// <param name="Pages">Pages that were added.</param>
/// <param name="Chunks">Chunks of 256 bytes that were measured.</param>
public readonly record struct EnclaveMeasurement(Hash256 MrEnclave, ulong Pages, ulong Chunks)
{
    private const int RecordLength = 64;
    private const int ChunkLength = 256;

    /// <summary>
    /// Length in bytes of what SHA-256 went over: a record of 64 bytes for ECREATE, each EADD and each EEXTEND, and the chunks.
    /// </summary>
    public UInt128 HashedBytes => RecordLength + ((UInt128)Pages * RecordLength) + ((UInt128)Chunks * (RecordLength + ChunkLength));
}
