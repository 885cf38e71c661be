using SoftSgx.Architecture;
using SoftSgx.Images;

namespace SoftSgx.Cli.Measuring;

/// <summary>One way in which a file can be built: what it measures to, and its signature.</summary>
/// <param name="Name">What tells it from the others; null if there is only one.</param>
/// <param name="Layout">How it is built; null if the file does not tell.</param>
/// <param name="Signature">Its signature.</param>
/// <param name="SignatureOffset">Where in the file that stands.</param>
/// <param name="Measurement">What it measures to; nothing without a layout.</param>
internal sealed record MeasuredPart(string? Name, EnclaveLayout? Layout, SigStruct? Signature, long SignatureOffset, EnclaveMeasurement Measurement);

/// <summary>An enclave's file and what it measures to, with a bar while that takes its time.</summary>
/// <param name="Image">The file.</param>
/// <param name="Parts">Every way in which it can be built; at least one.</param>
internal sealed record MeasuredFile(EnclaveImage Image, IReadOnlyList<MeasuredPart> Parts)
{
    /// <summary>The one that the current loader takes, or that its signature is for where a file does not tell which that is.</summary>
    internal MeasuredPart Chosen => Best(Parts[Image.Variants.Count > 0 ? Image.ChosenVariant : 0].SignatureOffset);

    /// <summary>
    /// One part for each place that the file has for a signature. Where there are several layouts for one signature, because the file does
    /// not tell which loader it is for, it is the one that the signature is for.
    /// </summary>
    internal IReadOnlyList<MeasuredPart> Signed => [.. Parts.Select(static part => part.SignatureOffset).Distinct().Select(Best)];

    /// <summary>True if nothing tells which of several layouts the signature at a part's place is for.</summary>
    internal bool IsAmbiguous(MeasuredPart part) => !IsSignedFor(part) && Parts.Count(other => other.SignatureOffset == part.SignatureOffset) > 1;

    /// <summary>Reads a file without measuring it.</summary>
    /// <exception cref="ImageException">It is not well-formed.</exception>
    internal static MeasuredFile Open(string path)
    {
        EnclaveImage image = ImageReader.Read(path);
        return new MeasuredFile(image, image.Variants.Count > 0
            ? [.. image.Variants.Select(static part => new MeasuredPart(part.Name, part.Layout, part.Signature, part.SignatureOffset, default))]
            : [new MeasuredPart(null, image.Layout, image.Signature, image.SignatureOffset, default)]);
    }

    /// <summary>Measures what has a layout.</summary>
    /// <param name="limit">Bytes of pages that it may add.</param>
    /// <exception cref="ImageException">It cannot be built.</exception>
    internal MeasuredFile Measure(ulong limit = MeasureOptions.DefaultLimit)
    {
        using ProgressLine progress = new();
        int done = 0;
        List<MeasuredPart> parts = [];
        foreach (MeasuredPart part in Parts)
        {
            MeasureOptions options = new() { Limit = limit, Progress = fraction => progress.Report((done + fraction) / Parts.Count) };
            parts.Add(part.Layout is null ? part : part with { Measurement = EnclaveMeasurer.Measure(part.Layout, options) });
            done++;
        }

        return this with { Parts = parts };
    }

    private MeasuredPart Best(long place)
    {
        MeasuredPart usual = Parts[Image.Variants.Count > 0 ? Image.ChosenVariant : 0];
        MeasuredPart[] candidates = [.. Parts.Where(part => part.SignatureOffset == place)];
        return Array.Find(candidates, part => part == usual && IsSignedFor(part))
            ?? Array.Find(candidates, IsSignedFor)
            ?? Array.Find(candidates, part => part == usual)
            ?? candidates[0];
    }

    private static bool IsSignedFor(MeasuredPart part) =>
        part.Layout is not null && part.Signature is { } signature && signature.EnclaveHash == part.Measurement.MrEnclave;

    /// <summary>The part of that number, counted from 0.</summary>
    /// <exception cref="ImageException">There is none.</exception>
    internal MeasuredFile Only(int? number) => number switch
    {
        null => this,
        { } index when index < Parts.Count => new MeasuredFile(
            new EnclaveImage
            {
                Format = Image.Format,
                Kind = Image.Kind,
                Layout = Parts[index].Layout,
                Signature = Parts[index].Signature,
                SignatureOffset = Parts[index].SignatureOffset,
            },
            [Parts[index]]),
        { } index => throw new ImageException($"there is no variant {index}: it has {Parts.Count}, counted from 0"),
    };
}
