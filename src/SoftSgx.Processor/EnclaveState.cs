namespace SoftSgx.Processor;

/// <summary>What the processor keeps of one enclave beyond its SECS: measurement under way, children, threads inside.</summary>
internal sealed class EnclaveState(ulong id) : IDisposable
{
    private int _children;
    private int _threadsInside;
    private int _measuring;

    /// <summary>SECS.EID: unlike that of any other enclave of this processor.</summary>
    public ulong Id { get; } = id;

    /// <summary>Pages that belong to the enclave.</summary>
    public int Children => Volatile.Read(ref _children);

    /// <summary>Logical processors that execute inside the enclave.</summary>
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
    public void Dispose()
    {
    }
}
