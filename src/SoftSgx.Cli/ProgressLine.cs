using System.Diagnostics;

namespace SoftSgx.Cli;

/// <summary>A bar on standard error that shows how far something is: on a terminal only, and not in its first second.</summary>
internal sealed class ProgressLine : IDisposable
{
    private const int Width = 40;

    private static readonly TimeSpan s_first = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan s_between = TimeSpan.FromMilliseconds(100);

    private readonly bool _isTerminal = !Console.IsErrorRedirected;
    private readonly long _start = Stopwatch.GetTimestamp();
    private long _last;
    private bool _shown;

    /// <summary>So much is done, from 0 to 1.</summary>
    internal void Report(double fraction)
    {
        long now = Stopwatch.GetTimestamp();
        if (!_isTerminal || Stopwatch.GetElapsedTime(_start, now) < s_first || Stopwatch.GetElapsedTime(_last, now) < s_between)
        {
            return;
        }

        _last = now;
        _shown = true;
        int full = (int)(Math.Clamp(fraction, 0, 1) * Width);
        Console.Error.Write($"\r[{new string('#', full)}{new string('.', Width - full)}] {fraction,4:P0}");
    }

    /// <summary>Takes the bar away.</summary>
    public void Dispose()
    {
        if (_shown)
        {
            Console.Error.Write("\r\e[K");
            _shown = false;
        }
    }
}
