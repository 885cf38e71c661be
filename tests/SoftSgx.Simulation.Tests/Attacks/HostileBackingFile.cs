using SoftSgx.Kernel;

namespace SoftSgx.Simulation.Tests;

/// <summary>A backing file in the hands of an attacker, who keeps every version of every page and decides what is read.</summary>
internal sealed class HostileBackingFile(IBackingFile real) : IBackingFile
{
    private readonly Dictionary<ulong, List<byte[]>> _history = [];

    /// <summary>What is read instead, by offset; the bytes are those that are there.</summary>
    public Func<ulong, byte[], byte[]> OnRead { get; set; } = static (_, bytes) => bytes;

    /// <summary>Everything that was ever written at an offset, oldest first.</summary>
    public IReadOnlyList<byte[]> HistoryOf(ulong offset) => _history.TryGetValue(offset, out List<byte[]>? versions) ? versions : [];

    public bool TryWrite(ulong offset, ReadOnlySpan<byte> data)
    {
        if (!_history.TryGetValue(offset, out List<byte[]>? versions))
        {
            _history.Add(offset, versions = []);
        }

        versions.Add(data.ToArray());
        return real.TryWrite(offset, data);
    }

    public bool TryRead(ulong offset, Span<byte> destination)
    {
        bool read = real.TryRead(offset, destination);
        OnRead(offset, destination.ToArray()).CopyTo(destination);
        return read;
    }

    public void Truncate(ulong offset, ulong length) => real.Truncate(offset, length);

    public void Dispose() => real.Dispose();
}
