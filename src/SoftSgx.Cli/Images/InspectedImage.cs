using System.Globalization;
using SoftSgx.Architecture;
using SoftSgx.Images;

namespace SoftSgx.Cli.Images;

/// <summary>An image as it is shown: with one of its variants.</summary>
/// <param name="File">The file's name, as the user gave it.</param>
/// <param name="Image">What it holds.</param>
/// <param name="Shown">Number of the variant shown.</param>
/// <param name="Layout">The layout shown.</param>
/// <param name="Reserved">Its ranges without pages.</param>
internal sealed record InspectedImage(
    string File, EnclaveImage Image, int Shown, EnclaveLayout? Layout, IReadOnlyList<AddressRange> Reserved)
{
    internal static InspectedImage Of(string file, EnclaveImage image, int? variant)
    {
        if (variant is not { } number)
        {
            return new InspectedImage(file, image, image.ChosenVariant, image.Layout, image.Reserved);
        }

        if (image.Variants.Count == 0 && number == 0)
        {
            return new InspectedImage(file, image, 0, image.Layout, image.Reserved);
        }

        return number >= 0 && number < image.Variants.Count
            ? new InspectedImage(file, image, number, image.Variants[number].Layout, image.Variants[number].Reserved)
            : throw new ImageException(string.Create(
                CultureInfo.InvariantCulture,
                $"it has no variant {number}: there "
                    + $"{(image.Variants.Count > 1 ? $"are {image.Variants.Count}, from 0 on" : "is one, 0")}"));
    }

    /// <summary>The image as a reviewer gets it: with the layout and signature shown.</summary>
    internal EnclaveImage ForReview => Image.Variants.Count == 0
        ? Image
        : new EnclaveImage
        {
            Format = Image.Format,
            Kind = Image.Kind,
            Layout = Layout,
            Signature = Signature,
            FormatWarnings = Image.FormatWarnings,
        };

    internal SigStruct? Signature => Image.Variants.Count == 0 ? Image.Signature : Image.Variants[Shown].Signature;

    internal long SignatureOffset => Image.Variants.Count == 0 ? Image.SignatureOffset : Image.Variants[Shown].SignatureOffset;
}

/// <summary>What a layout's runs sum up to.</summary>
internal sealed class LayoutTotals
{
    private readonly Dictionary<PageUse, ulong> _pages = [];

    internal ulong Runs { get; private set; }

    internal ulong Pages { get; private set; }

    internal ulong MeasuredPages { get; private set; }

    internal ulong Threads { get; private set; }

    internal void Add(PageRun run)
    {
        Runs++;
        Pages += run.PageCount;
        MeasuredPages += run.MeasuredChunks == 0 ? 0 : run.PageCount;
        Threads += run.PageType == PageType.PT_TCS ? run.PageCount : 0;
        _pages[run.Use] = _pages.GetValueOrDefault(run.Use) + run.PageCount;
    }

    internal ulong BytesOf(PageUse use) => _pages.GetValueOrDefault(use) * PageContent.PageSize;
}
