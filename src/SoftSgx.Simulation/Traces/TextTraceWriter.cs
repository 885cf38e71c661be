using System.Globalization;
using System.Text;
using SoftSgx.Kernel;

namespace SoftSgx.Simulation;

/// <summary>Writes the text format of traces.</summary>
internal sealed class TextTraceWriter : TraceWriter
{
    private readonly StreamWriter _text;

    public TextTraceWriter(Stream stream, IReadOnlyList<TraceEnclave> enclaves)
    {
        _text = new StreamWriter(stream, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false), 1 << 16) { NewLine = "\n" };
        _text.WriteLine(TextTraceReader.Heading);
        foreach (TraceEnclave enclave in enclaves)
        {
            string threads = enclave.Threads == 1 ? "" : string.Create(CultureInfo.InvariantCulture, $" threads {enclave.Threads}");
            _text.WriteLine($"enclave {Quantity.Format(enclave.Pages * EpcPool.PageSize)}{threads}");
        }
    }

    /// <inheritdoc/>
    public override void Write(ReadOnlySpan<TraceRun> runs)
    {
        Span<char> line = stackalloc char[80];
        foreach (TraceRun run in runs)
        {
            line.TryWrite(CultureInfo.InvariantCulture, $"{(run.IsWrite ? 'w' : 'r')} {run.Enclave} {run.Page}", out int length);
            _text.Write(line[..length]);
            if (run.Length != 1)
            {
                line.TryWrite(CultureInfo.InvariantCulture, $"+{run.Length}", out length);
                _text.Write(line[..length]);
            }

            if (run.Thread != 0)
            {
                line.TryWrite(CultureInfo.InvariantCulture, $" {run.Thread}", out length);
                _text.Write(line[..length]);
            }

            _text.Write('\n');
        }
    }

    /// <inheritdoc/>
    public override void Complete() => _text.Flush();

    /// <inheritdoc/>
    protected override void Dispose(bool disposing) => _text.Dispose();
}
