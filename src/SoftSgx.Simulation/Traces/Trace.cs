namespace SoftSgx.Simulation;

/// <summary>Enclaves and a stream of accesses to their pages, which can be read any number of times.</summary>
public abstract class Trace
{
    /// <summary>The most enclaves of a trace.</summary>
    public const int MaximumEnclaves = 4096;

    /// <summary>The enclaves; the accesses name them by their place.</summary>
    public abstract IReadOnlyList<TraceEnclave> Enclaves { get; }

    /// <summary>Starts reading at the beginning.</summary>
    /// <returns>A reader of one's own.</returns>
    /// <exception cref="IOException">It cannot be read.</exception>
    /// <exception cref="InvalidDataException">It is no trace.</exception>
    public abstract TraceReader Open();
}

/// <summary>Reads a trace from its beginning to its end, in constant memory.</summary>
public abstract class TraceReader : IDisposable
{
    /// <summary>How much was read so far, from 0 to 1.</summary>
    public abstract double Fraction { get; }

    /// <summary>Reads what comes next.</summary>
    /// <param name="runs">Receives accesses.</param>
    /// <returns>How many runs; 0 at the end only.</returns>
    /// <exception cref="IOException">It cannot be read.</exception>
    /// <exception cref="InvalidDataException">It is broken; the message says where.</exception>
    public abstract int Read(Span<TraceRun> runs);

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Closes what is open.</summary>
    /// <param name="disposing">Not from a finaliser.</param>
    protected virtual void Dispose(bool disposing)
    {
    }
}
