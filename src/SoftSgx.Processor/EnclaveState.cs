namespace SoftSgx.Processor;

/// <summary>
/// What the processor keeps of one enclave beyond its SECS: measurement under way, children, threads inside and their epochs.
/// </summary>
/// <param name="id">SECS.EID.</param>
/// <param name="baseAddress">SECS.BASEADDR.</param>
/// <param name="measurement">MRENCLAVE under way; null for an enclave that is initialised.</param>
internal sealed class EnclaveState(ulong id, ulong baseAddress, Measurement? measurement) : IDisposable
{
    private EntryEpochs _epochs;
    private int _children;
    private int _measuring;
    private int _tracking;
    private bool _initialized = measurement is null;

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
    public Measurement Measurement { get; } = measurement!;

    /// <summary>Pages that belong to the enclave.</summary>
    public int Children => Volatile.Read(ref _children);

    /// <summary>Logical processors that execute inside the enclave, or are on their way in.</summary>
    public int ThreadsInside => _epochs.Inside;

    /// <summary>The epoch that entries belong to now.</summary>
    public uint Epoch => _epochs.Current;

    /// <summary>An epoch that is over: for pages of which nobody can hold a translation.</summary>
    public uint EpochLongAgo => _epochs.LongAgo;

    /// <summary>A page came.</summary>
    public void AddChild() => Interlocked.Increment(ref _children);

    /// <summary>A page went.</summary>
    public void RemoveChild() => Interlocked.Decrement(ref _children);

    /// <summary>A logical processor goes in.</summary>
    /// <returns>The epoch in which it came.</returns>
    public uint ThreadEnters() => _epochs.Enter();

    /// <summary>A logical processor that came in <paramref name="epoch"/> comes out.</summary>
    public void ThreadLeaves(uint epoch) => _epochs.Leave(epoch);

    /// <summary>True if nobody is inside who came in <paramref name="epoch"/> or earlier, and ETRACK has seen to it.</summary>
    public bool IsTracked(uint epoch) => _epochs.IsOver(epoch);

    /// <summary>Starts a new epoch; false if the one before the present one is not over. The caller updates the tracking.</summary>
    public bool TryTrack() => _epochs.TryAdvance();

    /// <summary>ETRACK and ETRACKC update the tracking: takes that right, or says at once that another leaf uses it.</summary>
    public bool TryUpdateTracking() => SharedLock.TryLockExclusive(ref _tracking);

    /// <summary>Gives back what <see cref="TryUpdateTracking"/> took.</summary>
    public void EndUpdateTracking() => SharedLock.UnlockExclusive(ref _tracking);

    /// <summary>EBLOCK and EWB use the tracking together: takes that right, or says at once that it is being updated.</summary>
    public bool TryUseTracking() => SharedLock.TryLockShared(ref _tracking);

    /// <summary>
    /// EMODPR and EMODT use the tracking too; for them the manual has no conflict, so they wait for an update, which is short.
    /// The epoch stands still until <see cref="EndUseTracking"/>: what changes now belongs to it.
    /// </summary>
    public void UseTracking()
    {
        SpinWait spin = default;
        while (!TryUseTracking())
        {
            spin.SpinOnce();
        }
    }

    /// <summary>Gives back what <see cref="TryUseTracking"/> or <see cref="UseTracking"/> took.</summary>
    public void EndUseTracking() => SharedLock.UnlockShared(ref _tracking);

    /// <summary>EADD, EEXTEND and EINIT exclude each other on one SECS: takes that right, or says at once that it is taken.</summary>
    public bool TryBeginMeasuring() => Interlocked.CompareExchange(ref _measuring, 1, 0) == 0;

    /// <summary>Gives back what <see cref="TryBeginMeasuring"/> took.</summary>
    public void EndMeasuring() => Volatile.Write(ref _measuring, 0);

    /// <inheritdoc/>
    public void Dispose() => Measurement?.Dispose();
}
