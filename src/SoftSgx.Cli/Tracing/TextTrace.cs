using System.Buffers;
using System.Globalization;
using System.Text;
using SoftSgx.Kernel.Tracing;

namespace SoftSgx.Cli.Tracing;

/// <summary>Events for people, in the manner of strace.</summary>
internal sealed class TextTrace : ITraceFormat
{
    private readonly StringBuilder _line = new();

    /// <inheritdoc/>
    public void Write(IBufferWriter<byte> target, TraceEvent e, DateTime time, string thread)
    {
        _line.Clear();
        _line.Append(CultureInfo.InvariantCulture, $"{time.ToLocalTime():HH:mm:ss.ffffff} {thread} ");
        switch (e.Kind)
        {
            case TraceKinds.Call:
                _line.Append(e.Name).Append('(');
                bool any = Values(e, TracePart.Operand, named: false);
                if (Has(e, TracePart.Member))
                {
                    _line.Append(any ? ", " : "");
                    Braces(e, TracePart.Member);
                }
                _line.Append(')');
                Result(e);
                break;
            case TraceKinds.Encls or TraceKinds.Enclu:
                _line.Append(e.Kind == TraceKinds.Encls ? "ENCLS[" : "ENCLU[").Append(e.Name).Append("](");
                Values(e, TracePart.Member, named: true);
                _line.Append(')');
                Result(e);
                break;
            case TraceKinds.Exit:
                _line.Append("AEX ").Append(e.Name).Append(' ');
                Braces(e, TracePart.Member);
                break;
            case TraceKinds.Signal or TraceKinds.Process:
                string mark = e.Kind == TraceKinds.Signal ? "---" : "+++";
                _line.Append(mark).Append(' ').Append(e.Name).Append(' ');
                Braces(e, TracePart.Member);
                _line.Append(' ').Append(mark);
                break;
            default:
                _line.Append(e.Name).Append(' ');
                Braces(e, TracePart.Member);
                if (Has(e, TracePart.Result))
                {
                    _line.Append(" = ");
                    Values(e, TracePart.Result, named: false);
                }
                break;
        }
        _line.Append('\n');
        foreach (ReadOnlyMemory<char> chunk in _line.GetChunks())
        {
            Encoding.UTF8.GetBytes(chunk.Span, target);
        }
    }

    private void Result(TraceEvent e)
    {
        _line.Append(" = ");
        if (e.Returned is long value)
        {
            bool isAddress = e.ReturnsAddress && e.Error is null;
            _line.Append(CultureInfo.InvariantCulture, $"{(isAddress ? $"0x{value:x}" : $"{value}")}{(e.Error is null ? "" : " ")}{e.Error}");
        }
        else
        {
            _line.Append(e.Error ?? "?"); // the thread ended before the call did
        }
        if (Has(e, TracePart.Result))
        {
            _line.Append(' ');
            Braces(e, TracePart.Result);
        }
    }

    private static bool Has(TraceEvent e, TracePart part)
    {
        foreach (TraceField field in e.Fields)
        {
            if (field.Part == part)
            {
                return true;
            }
        }
        return false;
    }

    private void Braces(TraceEvent e, TracePart part)
    {
        _line.Append('{');
        Values(e, part, named: true);
        _line.Append('}');
    }

    private bool Values(TraceEvent e, TracePart part, bool named)
    {
        bool any = false;
        foreach (TraceField field in e.Fields)
        {
            if (field.Part != part)
            {
                continue;
            }
            _line.Append(any ? ", " : "");
            any = true;
            if (named)
            {
                _line.Append(field.Name).Append('=');
            }
            Value(field);
        }
        return any;
    }

    private void Value(in TraceField field)
    {
        switch (field.Format)
        {
            case TraceFormat.Decimal:
                _line.Append(CultureInfo.InvariantCulture, $"{(long)field.Value}");
                break;
            case TraceFormat.Name:
                _line.Append(field.Text);
                break;
            case TraceFormat.Quoted:
                Quote(field.Text!);
                break;
            default:
                _line.Append(CultureInfo.InvariantCulture, $"0x{field.Value:x}");
                if (field.Offset is ulong offset)
                {
                    _line.Append(CultureInfo.InvariantCulture, $"(+0x{offset:x})");
                }
                break;
        }
    }

    /// <summary>A program's string on one line, whatever is in it.</summary>
    private void Quote(string text)
    {
        _line.Append('"');
        foreach (char c in text)
        {
            _ = c switch
            {
                '"' or '\\' => _line.Append('\\').Append(c),
                '\n' => _line.Append("\\n"),
                _ when char.IsControl(c) => _line.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}"),
                _ => _line.Append(c),
            };
        }
        _line.Append('"');
    }
}
