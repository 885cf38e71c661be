namespace SoftSgx.Simulation;

/// <summary>A trace in a file, of either format; the first bytes tell which.</summary>
public sealed class TraceFile : Trace
{
    private readonly string _path;

    /// <summary>Opens a file and reads its header.</summary>
    /// <param name="path">Its path.</param>
    /// <exception cref="IOException">It cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be read.</exception>
    /// <exception cref="InvalidDataException">It is no trace.</exception>
    public TraceFile(string path)
    {
        _path = path;
        using TraceFileReader reader = OpenFile();
        Enclaves = reader.Enclaves;
    }

    /// <inheritdoc/>
    public override IReadOnlyList<TraceEnclave> Enclaves { get; }

    /// <inheritdoc/>
    public override TraceReader Open() => OpenFile();

    /// <summary>Reads a trace from a stream that can be read once.</summary>
    /// <param name="stream">The bytes; the reader closes it.</param>
    /// <exception cref="InvalidDataException">It is no trace.</exception>
    public static TraceFileReader Open(Stream stream)
    {
        TraceInput input = new(stream);
        try
        {
            return BinaryTraceReader.IsBinary(input) ? new BinaryTraceReader(input) : new TextTraceReader(input);
        }
        catch
        {
            input.Dispose();
            throw;
        }
    }

    private TraceFileReader OpenFile() =>
        Open(new FileStream(_path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan));
}

/// <summary>Reads a trace in one of the file formats.</summary>
public abstract class TraceFileReader : TraceReader
{
    private readonly TraceInput _input;

    private protected TraceFileReader(TraceInput input) => _input = input;

    /// <summary>The enclaves.</summary>
    public IReadOnlyList<TraceEnclave> Enclaves { get; private protected set; } = [];

    /// <inheritdoc/>
    public override double Fraction => _input.Fraction;

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        _input.Dispose();
        base.Dispose(disposing);
    }
}
