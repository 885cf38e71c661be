using System.Buffers;
using System.Globalization;
using System.Text.Encodings.Web;
using System.Text.Json;
using SoftSgx.Cli.Options;
using SoftSgx.Kernel.Tracing;

namespace SoftSgx.Cli.Tracing;

/// <summary>Events for programs: a JSON object a line. docs/trace.md says what each field is.</summary>
internal sealed class JsonTrace : ITraceFormat
{
    private static readonly JsonWriterOptions s_options = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, // no HTML here
    };

    /// <inheritdoc/>
    public void Write(IBufferWriter<byte> target, TraceEvent e, DateTime time, string thread)
    {
        using Utf8JsonWriter json = new(target, s_options);
        json.WriteStartObject();
        json.WriteString("time", time.ToString("yyyy-MM-ddTHH:mm:ss.ffffffZ", CultureInfo.InvariantCulture));
        json.WriteString("thread", thread);
        json.WriteString("kind", TraceOption.NameOf(e.Kind));
        json.WriteString("name", e.Name);
        json.WriteStartObject("args");
        Fields(json, e, results: false);
        json.WriteEndObject();
        if (e.Returned is long value)
        {
            if (e.ReturnsAddress && e.Error is null)
            {
                Hex(json, "result", (ulong)value);
            }
            else
            {
                json.WriteNumber("result", value);
            }
        }
        if (e.Error is not null)
        {
            json.WriteString("error", e.Error);
        }
        json.WriteStartObject("out");
        Fields(json, e, results: true);
        json.WriteEndObject();
        json.WriteEndObject();
        json.Flush();
        target.Write("\n"u8);
    }

    private static void Fields(Utf8JsonWriter json, TraceEvent e, bool results)
    {
        foreach (TraceField field in e.Fields)
        {
            if (field.Part == TracePart.Result == results)
            {
                Field(json, field);
            }
        }
    }

    private static void Field(Utf8JsonWriter json, in TraceField field)
    {
        switch (field.Format)
        {
            case TraceFormat.Decimal:
                json.WriteNumber(field.Name, (long)field.Value);
                break;
            case TraceFormat.Name or TraceFormat.Quoted:
                json.WriteString(field.Name, field.Text);
                break;
            default:
                Hex(json, field.Name, field.Value);
                if (field.Offset is ulong offset)
                {
                    Hex(json, field.Name + "Offset", offset);
                }
                break;
        }
    }

    // Above 2^53 numbers of JSON lose digits in many readers.
    private static void Hex(Utf8JsonWriter json, string name, ulong value) => json.WriteString(name, string.Create(CultureInfo.InvariantCulture, $"0x{value:x}"));
}
