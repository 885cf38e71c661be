namespace SoftSgx.Images;

/// <summary>How to measure.</summary>
public sealed record MeasureOptions
{
    /// <summary>
    /// Bytes of pages that may be added. A few bytes of a file can ask for an enclave that takes days to measure; this says at once that
    /// one does.
    /// </summary>
    public const ulong DefaultLimit = 1UL << 40;

    /// <summary>Bytes of pages that may be added; more is an error.</summary>
    public ulong Limit { get; init; } = DefaultLimit;

    /// <summary>Hears of every operation; null if nobody wants to. Each is then a leaf of its own, which takes longer.</summary>
    public IMeasurementTrace? Trace { get; init; }

    /// <summary>Is told from time to time how much is done, from 0 to 1.</summary>
    public Action<double>? Progress { get; init; }

    /// <summary>Ends measuring early.</summary>
    public CancellationToken Cancellation { get; init; }
}
