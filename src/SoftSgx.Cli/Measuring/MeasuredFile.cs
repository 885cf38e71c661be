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
    /// <summary>The one that the current loader takes.</summary>
    internal MeasuredPart Chosen => Parts[Image.Variants.Count > 0 ? Image.ChosenVariant : 0];

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
