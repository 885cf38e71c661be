using System.Globalization;
using SoftSgx.Architecture;
using SoftSgx.Images;

namespace SoftSgx.Cli.Images;

/// <summary>An image for people.</summary>
internal static class InspectText
{
    private const int LongestValue = 140;
    private const int KeptOfLong = 64;

    /// <summary>Writes everything; the layout as it is read, so that a long one needs no memory.</summary>
    /// <exception cref="ImageException">The layout's file is not well-formed.</exception>
    internal static void Write(InspectedImage inspected, DateOnly today, TextWriter text)
    {
        text.WriteLine($"{inspected.File}: {inspected.Image.Format}");
        foreach (string note in inspected.Image.Notes)
        {
            text.WriteLine($"  {note}");
        }

        WriteVariants(inspected, text);
        foreach (FactGroup group in inspected.Image.Facts)
        {
            WriteGroup(group, text);
        }

        if (inspected.Signature is { } signature)
        {
            WriteGroup(SignatureFacts.Of(in signature, inspected.SignatureOffset), text);
        }

        PageReview pages = new();
        if (inspected.Layout is { } layout)
        {
            WriteLayout(layout, inspected.Reserved, pages, text);
        }

        WriteWarnings(ImageReview.Of(inspected.ForReview, today, pages), text);
    }

    private static void WriteVariants(InspectedImage inspected, TextWriter text)
    {
        if (inspected.Image.Variants.Count == 0)
        {
            return;
        }

        text.WriteLine("\nVariants");
        for (int i = 0; i < inspected.Image.Variants.Count; i++)
        {
            ImageVariant variant = inspected.Image.Variants[i];
            string mark = i == inspected.Shown ? "  <- shown" : "";
            text.WriteLine($"  {i}  {variant.Name}  ENCLAVEHASH {variant.Signature?.EnclaveHash.ToString() ?? "none"}{mark}");
        }
    }

    private static void WriteGroup(FactGroup group, TextWriter text)
    {
        text.WriteLine(group.Offset is > 0 and { } offset ? $"\n{group.Title}, at 0x{offset:x}" : $"\n{group.Title}");
        int width = Math.Min(group.Facts.Count == 0 ? 0 : group.Facts.Max(static fact => fact.Name.Length), 40);
        foreach (Fact fact in group.Facts)
        {
            text.WriteLine($"  {fact.Name.PadRight(width)}  {Cut(fact.Text)}");
        }
    }

    // Numbers of RSA have 768 digits; certificates' names are text and stay whole.
    private static string Cut(string value) =>
        value.Length <= LongestValue || value.Contains(' ', StringComparison.Ordinal)
            ? value
            : string.Create(CultureInfo.InvariantCulture, $"{value[..KeptOfLong]}… ({value.Length / 2} bytes)");

    private static void WriteLayout(EnclaveLayout layout, IReadOnlyList<AddressRange> reserved, PageReview pages, TextWriter text)
    {
        text.WriteLine("\nLayout, in the order of building");
        text.WriteLine($"  {"offset",-14} {"pages",10}  {"type",-4}  {"perm",-4}  {"measured",-8}  what");
        LayoutTotals totals = new();
        int next = 0;
        using ProgressLine? progress = Console.IsOutputRedirected ? new ProgressLine() : null;
        foreach (PageRun run in layout.Runs)
        {
            for (; next < reserved.Count && reserved[next].Offset < run.Offset; next++)
            {
                WriteReserved(reserved[next], text);
            }

            totals.Add(run);
            pages.Add(run);
            progress?.Report((double)run.End / layout.Size);
            text.WriteLine(
                $"  {Hex(run.Offset),-14} {run.PageCount,10}  {TypeOf(run),-4}  {PermissionsOf(run),-4}  "
                    + $"{MeasuredOf(run.MeasuredChunks),-8}  {run.Name}");
        }

        foreach (AddressRange range in reserved.Skip(next))
        {
            WriteReserved(range, text);
        }

        text.WriteLine();
        text.WriteLine($"  size of the enclave  {Hex(layout.Size)} ({ByteSize.Format((long)layout.Size)})");
        text.WriteLine($"  SSA frame            {layout.SsaFrameSize} {(layout.SsaFrameSize == 1 ? "page" : "pages")}");
        text.WriteLine($"  pages                {totals.Pages}, {totals.MeasuredPages} of them measured ({totals.Runs} runs)");
        text.WriteLine($"  threads (TCS)        {totals.Threads}");
        text.WriteLine($"  heap                 {ByteSize.Format((long)totals.BytesOf(PageUse.Heap))}{Later(reserved, PageUse.Heap)}");
        text.WriteLine($"  stacks, together     {ByteSize.Format((long)totals.BytesOf(PageUse.Stack))}{Later(reserved, PageUse.Stack)}");
    }

    private static string Later(IReadOnlyList<AddressRange> reserved, PageUse use)
    {
        ulong pages = 0;
        foreach (AddressRange range in reserved)
        {
            pages += range.Use == use ? range.PageCount : 0;
        }

        return pages == 0 ? "" : $", and room for {ByteSize.Format((long)(pages * PageContent.PageSize))} added while it runs";
    }

    private static void WriteReserved(AddressRange range, TextWriter text) =>
        text.WriteLine($"  {Hex(range.Offset),-14} {range.PageCount,10}  {"-",-4}  {"-",-4}  {"-",-8}  {range.Name} (no pages)");

    private static void WriteWarnings(IReadOnlyList<ReviewWarning> warnings, TextWriter text)
    {
        text.WriteLine(warnings.Count == 0 ? "\nNo warnings" : "\nWarnings");
        foreach (ReviewWarning warning in warnings)
        {
            text.WriteLine($"  {warning.Code,-22} {warning.Message}");
        }
    }

    private static string TypeOf(PageRun run) => run.PageType.ToString().Replace("PT_", "", StringComparison.Ordinal);

    // TCS pages have no permissions: nobody but the processor reads or writes them.
    private static string PermissionsOf(PageRun run) => run.PageType == PageType.PT_TCS ? "-" : PermissionNames.Of(run.Flags);

    private static string MeasuredOf(ushort chunks) => chunks switch
    {
        PageRun.AllChunks => "yes",
        0 => "no",
        _ => $"{ushort.PopCount(chunks)} of 16",
    };

    private static string Hex(ulong value) => string.Create(CultureInfo.InvariantCulture, $"0x{value:x}");
}
