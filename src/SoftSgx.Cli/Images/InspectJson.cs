using System.Globalization;
using System.Text.Json;
using SoftSgx.Images;

namespace SoftSgx.Cli.Images;

/// <summary>
/// An image for scripts. Addresses and sizes in bytes are hexadecimal texts, since they can have more bits than a JSON number.
/// </summary>
internal static class InspectJson
{
    // Written out now and then, so that a long layout needs no memory.
    private const int FlushAt = 1 << 16;

    /// <exception cref="ImageException">The layout's file is not well-formed.</exception>
    internal static void Write(InspectedImage inspected, DateOnly today, Stream output)
    {
        using Utf8JsonWriter json = new(output, new JsonWriterOptions { Indented = true });
        json.WriteStartObject();
        json.WriteString("file", inspected.File);
        json.WriteString("format", inspected.Image.Format);
        json.WriteString("kind", ImageFormat.All.FirstOrDefault(format => format.Kind == inspected.Image.Kind)?.Name);
        json.WriteStartArray("notes");
        foreach (string note in inspected.Image.Notes)
        {
            json.WriteStringValue(note);
        }

        json.WriteEndArray();
        WriteVariants(inspected, json);
        json.WriteStartArray("structures");
        foreach (FactGroup group in inspected.Image.Facts)
        {
            WriteGroup(group, json);
        }

        if (inspected.Signature is { } signature)
        {
            WriteGroup(SignatureFacts.Of(in signature, inspected.SignatureOffset), json);
        }

        json.WriteEndArray();
        PageReview pages = new();
        if (inspected.Layout is { } layout)
        {
            WriteLayout(layout, inspected.Reserved, pages, json);
        }

        json.WriteStartArray("warnings");
        foreach (ReviewWarning warning in ImageReview.Of(inspected.ForReview, today, pages))
        {
            json.WriteStartObject();
            json.WriteString("code", warning.Code);
            json.WriteString("message", warning.Message);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
        json.Flush();
        output.Write("\n"u8);
    }

    private static void WriteVariants(InspectedImage inspected, Utf8JsonWriter json)
    {
        json.WriteStartArray("variants");
        for (int i = 0; i < inspected.Image.Variants.Count; i++)
        {
            ImageVariant variant = inspected.Image.Variants[i];
            json.WriteStartObject();
            json.WriteString("name", variant.Name);
            json.WriteBoolean("chosen", i == inspected.Image.ChosenVariant);
            json.WriteBoolean("shown", i == inspected.Shown);
            json.WriteString("enclaveHash", variant.Signature?.EnclaveHash.ToString());
            json.WriteEndObject();
        }

        json.WriteEndArray();
    }

    private static void WriteGroup(FactGroup group, Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("title", group.Title);
        json.WriteString("offset", group.Offset is { } offset ? Hex((ulong)offset) : null);
        json.WriteStartObject("fields");
        Dictionary<string, int> seen = [];
        foreach (Fact fact in group.Facts)
        {
            // A file can list the same thing twice; an object's names are different.
            int number = seen[fact.Name] = seen.GetValueOrDefault(fact.Name) + 1;
            string name = number == 1 ? fact.Name : string.Create(CultureInfo.InvariantCulture, $"{fact.Name} ({number})");
            if (fact.Number is { } value)
            {
                json.WriteNumber(name, value);
            }
            else
            {
                json.WriteString(name, fact.Text);
            }
        }

        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteLayout(EnclaveLayout layout, IReadOnlyList<AddressRange> reserved, PageReview pages, Utf8JsonWriter json)
    {
        LayoutTotals totals = new();
        using ProgressLine? progress = Console.IsOutputRedirected ? new ProgressLine() : null;
        json.WriteStartObject("layout");
        json.WriteString("size", Hex(layout.Size));
        json.WriteNumber("ssaFrameSize", layout.SsaFrameSize);
        json.WriteStartArray("runs");
        foreach (PageRun run in layout.Runs)
        {
            totals.Add(run);
            pages.Add(run);
            progress?.Report((double)run.End / layout.Size);
            json.WriteStartObject();
            json.WriteString("offset", Hex(run.Offset));
            json.WriteNumber("pages", run.PageCount);
            json.WriteString("type", run.PageType.ToString());
            json.WriteString("permissions", PermissionNames.Of(run.Flags));
            json.WriteString("measuredChunks", Hex(run.MeasuredChunks));
            json.WriteString("use", run.Use.ToString());
            json.WriteString("name", run.Name);
            json.WriteEndObject();
            if (json.BytesPending > FlushAt)
            {
                json.Flush();
            }
        }

        json.WriteEndArray();
        json.WriteStartArray("reserved");
        foreach (AddressRange range in reserved)
        {
            json.WriteStartObject();
            json.WriteString("offset", Hex(range.Offset));
            json.WriteNumber("pages", range.PageCount);
            json.WriteString("use", range.Use.ToString());
            json.WriteString("name", range.Name);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteNumber("pages", totals.Pages);
        json.WriteNumber("measuredPages", totals.MeasuredPages);
        json.WriteNumber("threads", totals.Threads);
        json.WriteString("heapBytes", Hex(totals.BytesOf(PageUse.Heap)));
        json.WriteString("stackBytes", Hex(totals.BytesOf(PageUse.Stack)));
        json.WriteEndObject();
    }

    private static string Hex(ulong value) => string.Create(CultureInfo.InvariantCulture, $"0x{value:x}");
}
