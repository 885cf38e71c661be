using System.Security.Cryptography;
using SoftSgx.Architecture;

namespace SoftSgx.Images.Tests;

/// <summary>All operations of a layout as lines.</summary>
internal sealed class Operations : IMeasurementTrace
{
    public List<string> Lines { get; } = [];

    public static List<string> Of(EnclaveLayout layout)
    {
        Operations operations = new();
        EnclaveMeasurer.Measure(layout, new MeasureOptions { Trace = operations });
        return operations.Lines;
    }

    public void Created(ulong size, uint ssaFrameSize) => Lines.Add($"ECREATE {size} {ssaFrameSize}");

    public void Added(ulong offset, SecInfoFlags flags) => Lines.Add($"EADD {offset} {(ulong)flags}");

    public void Extended(ulong offset, ReadOnlySpan<byte> chunk) => Lines.Add($"EEXTEND {offset} {Convert.ToHexString(SHA256.HashData(chunk))}");
}
