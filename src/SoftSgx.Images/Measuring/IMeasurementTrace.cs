using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>Hears of every operation that enters MRENCLAVE, in order.</summary>
public interface IMeasurementTrace
{
    /// <summary>ECREATE.</summary>
    /// <param name="size">SECS.SIZE in bytes.</param>
    /// <param name="ssaFrameSize">SECS.SSAFRAMESIZE in pages.</param>
    public void Created(ulong size, uint ssaFrameSize);

    /// <summary>EADD.</summary>
    /// <param name="offset">Offset in the enclave, in bytes.</param>
    /// <param name="flags">SECINFO.FLAGS as they are measured: EADD takes permissions off a TCS.</param>
    public void Added(ulong offset, SecInfoFlags flags);

    /// <summary>EEXTEND.</summary>
    /// <param name="offset">Offset in the enclave, in bytes.</param>
    /// <param name="chunk">The 256 bytes as they are measured: EADD resets fields of a TCS.</param>
    public void Extended(ulong offset, ReadOnlySpan<byte> chunk);
}
