namespace SoftSgx.Simulation;

/// <summary>The two file formats of traces.</summary>
public enum TraceFormat
{
    /// <summary>One line a run, for people.</summary>
    Text,

    /// <summary>A few bytes a run.</summary>
    Binary,
}

/// <summary>Writes a trace to a stream.</summary>
public abstract class TraceWriter : IDisposable
{
    private protected TraceWriter()
    {
    }

    /// <summary>Starts a trace.</summary>
    /// <param name="stream">Where it goes; closed with the writer.</param>
    /// <param name="format">Its format.</param>
    /// <param name="enclaves">Its enclaves.</param>
    public static TraceWriter Create(Stream stream, TraceFormat format, IReadOnlyList<TraceEnclave> enclaves)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(enclaves);
        return format == TraceFormat.Text ? new TextTraceWriter(stream, enclaves) : new BinaryTraceWriter(stream, enclaves);
    }

    /// <summary>Copies a trace: also how one format becomes the other.</summary>
    /// <param name="trace">The trace.</param>
    /// <param name="stream">Where it goes.</param>
    /// <param name="format">Its new format.</param>
    public static void Copy(Trace trace, Stream stream, TraceFormat format)
    {
        ArgumentNullException.ThrowIfNull(trace);
        using TraceWriter writer = Create(stream, format, trace.Enclaves);
        using TraceReader reader = trace.Open();
        TraceRun[] runs = new TraceRun[1024];
        while (reader.Read(runs) is var count and > 0)
        {
            writer.Write(runs.AsSpan(0, count));
        }

        writer.Complete();
    }

    /// <summary>Writes runs.</summary>
    /// <param name="runs">The runs, within the enclaves.</param>
    public abstract void Write(ReadOnlySpan<TraceRun> runs);

    /// <summary>Ends the trace: everything is written.</summary>
    public abstract void Complete();

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Closes the stream.</summary>
    /// <param name="disposing">Not from a finaliser.</param>
    protected abstract void Dispose(bool disposing);
}
