namespace SoftSgx.Processor;

/// <summary>What the processor keeps of one enclave beyond its SECS: measurement under way, children, threads inside.</summary>
internal sealed class EnclaveState(ulong id, ulong baseAddress) : IDisposable
{
    private int _children;
    private int _threadsInside;
    private int _measuring;
    private bool _initialized;

    /// <summary>SECS.EID: unlike that of any other enclave of this processor.</summary>
    public ulong Id { get; } = id;

    /// <summary>SECS.BASEADDR.</summary>
    public ulong BaseAddress { get; } = baseAddress;

    /// <summary>SECS.ATTRIBUTES.INIT. Only the holder of <see cref="TryBeginMeasuring"/> may rely on it being off.</summary>
    public bool IsInitialized
    {
        get => Volatile.Read(ref _initialized);
        set => Volatile.Write(ref _initialized, value);
    }

    /// <summary>MRENCLAVE under way. Only the holder of <see cref="TryBeginMeasuring"/> may touch it; disposed by EINIT.</summary>
    public Measurement Measurement { get; } = new();

    /// <summary>Pages that belong to the enclave.</summary>
    public int Children => Volatile.Read(ref _children);

    /// <summary>Logical processors that execute inside the enclave, or are on their way in.</summary>
    public int ThreadsInside => Volatile.Read(ref _threadsInside);

    /// <summary>A page came.</summary>
    public void AddChild() => Interlocked.Increment(ref _children);

    /// <summary>A page went.</summary>
    public void RemoveChild() => Interlocked.Decrement(ref _children);

    /// <summary>A logical processor goes in.</summary>
    public void ThreadEnters() => Interlocked.Increment(ref _threadsInside);

    /// <summary>A logical processor comes out.</summary>
    public void ThreadLeaves() => Interlocked.Decrement(ref _threadsInside);

    /// <summary>EADD, EEXTEND and EINIT exclude each other on one SECS: takes that right, or says at once that it is taken.</summary>
    public bool TryBeginMeasuring() => Interlocked.CompareExchange(ref _measuring, 1, 0) == 0;

    /// <summary>Gives back what <see cref="TryBeginMeasuring"/> took.</summary>
    public void EndMeasuring() => Volatile.Write(ref _measuring, 0);

    /// <inheritdoc/>
    public void Dispose() => Measurement.Dispose();
}
