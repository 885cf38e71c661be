using SoftSgx.Images;

namespace SoftSgx.Cli.Measuring;

/// <summary>An enclave's file and what it measures to, with a bar while that takes its time.</summary>
/// <param name="Image">The file.</param>
/// <param name="Measurement">What it measures to; nothing yet until <see cref="Measure"/>.</param>
internal sealed record MeasuredFile(EnclaveImage Image, EnclaveMeasurement Measurement)
{
    /// <summary>Reads a file without measuring it.</summary>
    /// <exception cref="ImageException">It is not well-formed.</exception>
    internal static MeasuredFile Open(string path) => new(ImageReader.Read(path), default);

    /// <summary>Measures it, if it has a layout.</summary>
    /// <param name="limit">Bytes of pages that it may add.</param>
    /// <param name="trace">Hears of each operation.</param>
    /// <exception cref="ImageException">It cannot be built.</exception>
    internal MeasuredFile Measure(ulong limit = MeasureOptions.DefaultLimit, IMeasurementTrace? trace = null)
    {
        if (Image.Layout is null)
        {
            return this;
        }

        using ProgressLine progress = new();
        MeasureOptions options = new() { Limit = limit, Trace = trace, Progress = progress.Report };
        return this with { Measurement = EnclaveMeasurer.Measure(Image.Layout, options) };
    }
}
