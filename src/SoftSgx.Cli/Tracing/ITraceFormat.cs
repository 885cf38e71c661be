using System.Buffers;
using SoftSgx.Kernel.Tracing;

namespace SoftSgx.Cli.Tracing;

/// <summary>How an event becomes a line.</summary>
internal interface ITraceFormat
{
    /// <summary>Writes one line with its end.</summary>
    /// <param name="target">Receives it as UTF-8.</param>
    /// <param name="e">The event.</param>
    /// <param name="time">When it was taken, UTC.</param>
    /// <param name="thread">On whose behalf.</param>
    public void Write(IBufferWriter<byte> target, TraceEvent e, DateTime time, string thread);
}
