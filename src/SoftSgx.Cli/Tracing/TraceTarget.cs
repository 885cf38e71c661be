using System.Buffers;
using SoftSgx.Cli.Options;
using SoftSgx.Host;
using SoftSgx.Kernel.Tracing;

namespace SoftSgx.Cli.Tracing;

/// <summary>
/// Where a trace goes: standard error, line by line, or a file, whose lines are collected for a second at most, so that a crash
/// loses no more than that.
/// </summary>
internal sealed class TraceTarget : ITrace, IDisposable
{
    private const int BufferSize = 64 * 1024;

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private readonly ArrayBufferWriter<byte> _buffer = new(BufferSize);
    private readonly ITraceFormat _format;
    private readonly TraceKinds _kinds;
    private readonly FileStream? _file;
    private readonly Timer? _timer;
    private bool _failed;

    private TraceTarget(FileStream? file, ITraceFormat format, TraceKinds kinds)
    {
        _file = file;
        _format = format;
        _kinds = kinds;
        _timer = file is null ? null : new Timer(_ => Flush(), null, s_patience, s_patience);
        AppDomain.CurrentDomain.UnhandledException += OnCrash; // of any thread: the lines that led to it are what is needed then
    }

    /// <summary>Opens the target now, so that a file that cannot be written is known before the program starts.</summary>
    /// <param name="value">
    /// <c>text</c> and <c>json</c>, or nothing, mean standard error; else a file's name: JSON if it ends in .json, else text.
    /// </param>
    /// <param name="kinds">The kinds of events that are wanted.</param>
    /// <exception cref="HostException">The file cannot be written.</exception>
    internal static TraceTarget Open(string? value, TraceKinds kinds)
    {
        bool isJson = value is "json" || (value?.EndsWith(".json", StringComparison.OrdinalIgnoreCase) ?? false);
        FileStream? file = value is null or "text" or "json" ? null : OutputFile.Open("--trace", value);
        return new TraceTarget(file, isJson ? new JsonTrace() : new TextTrace(), kinds);
    }

    /// <inheritdoc/>
    public bool Wants(TraceKinds kind) => (_kinds & kind) != 0;

    /// <inheritdoc/>
    public void Write(TraceEvent e) => Take(e, isLast: true);

    /// <inheritdoc/>
    public void Append(TraceEvent e) => Take(e, isLast: false);

    private void Take(TraceEvent e, bool isLast)
    {
        lock (_gate)
        {
            _format.Write(_buffer, e, e.Time ?? DateTime.UtcNow, e.Thread ?? TraceActor.Name);
            if ((_file is null && isLast) || _buffer.WrittenCount > BufferSize / 2)
            {
                WriteOut();
            }
        }
    }

    /// <inheritdoc/>
    public void Flush()
    {
        lock (_gate)
        {
            WriteOut();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        AppDomain.CurrentDomain.UnhandledException -= OnCrash;
        _timer?.Dispose();
        Flush();
        _file?.Dispose();
    }

    private void OnCrash(object sender, UnhandledExceptionEventArgs e) => Flush();

    private void WriteOut()
    {
        ReadOnlySpan<byte> lines = _buffer.WrittenSpan;
        if (lines.IsEmpty)
        {
            return;
        }
        if (_file is null)
        {
            StandardError.Write(lines);
        }
        else if (!_failed)
        {
            try
            {
                _file.Write(lines);
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException)
            {
                _failed = true; // said once; the program goes on
                Messages.Error($"the trace cannot be written to '{_file.Name}': {e.Message}");
            }
        }
        _buffer.ResetWrittenCount();
    }
}
