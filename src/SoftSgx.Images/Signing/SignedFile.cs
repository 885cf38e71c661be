using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>A signature structure and its place in a file.</summary>
/// <param name="Offset">Offset in bytes into the file.</param>
/// <param name="Signature">The structure.</param>
public readonly record struct PlacedSignature(long Offset, SigStruct Signature);

/// <summary>Files with signature structures in them.</summary>
public static class SignedFile
{
    /// <summary>Writes signature structures, one alone, or each in the place that a file has for it.</summary>
    /// <param name="output">Where to; must be able to seek.</param>
    /// <param name="source">The file to copy; null for a structure alone.</param>
    /// <param name="signatures">The structures.</param>
    /// <exception cref="ImageException">The file ends before a place does.</exception>
    public static void Write(Stream output, string? source, IReadOnlyList<PlacedSignature> signatures)
    {
        ArgumentNullException.ThrowIfNull(output);
        ArgumentNullException.ThrowIfNull(signatures);
        if (source is not null)
        {
            using FileStream input = File.OpenRead(source);
            input.CopyTo(output);
        }

        long length = output.Length;
        foreach (PlacedSignature placed in signatures)
        {
            if (source is not null && (placed.Offset < 0 || placed.Offset > length - SigStruct.Size))
            {
                throw new ImageException(length, "the file ended before its signature did");
            }

            SigStruct signature = placed.Signature;
            output.Position = placed.Offset;
            output.Write(Bytes.Of(in signature));
        }
    }

    /// <summary>Reads a signed file once more: its signatures must be these, and each for what it measures to.</summary>
    /// <exception cref="ImageException">They are not.</exception>
    public static void Check(string path, IReadOnlyList<PlacedSignature> signatures)
    {
        ArgumentNullException.ThrowIfNull(signatures);
        EnclaveImage image = ImageReader.Read(path);
        (SigStruct? Signature, long Offset, EnclaveLayout? Layout)[] parts = image.Variants.Count > 0
            ? [.. image.Variants.Select(static variant => (variant.Signature, variant.SignatureOffset, variant.Layout))]
            : [(image.Signature, image.SignatureOffset, image.Layout)];
        foreach (PlacedSignature placed in signatures)
        {
            SigStruct wanted = placed.Signature;
            var candidates = Array.FindAll(parts, part => part.Offset == placed.Offset);
            if (!Array.Exists(candidates, part => part.Signature is { } found && Bytes.Of(in found).SequenceEqual(Bytes.Of(in wanted))))
            {
                throw new ImageException("the file changed while it was signed, or has no place for a signature");
            }

            EnclaveLayout[] layouts = [.. candidates.Select(static part => part.Layout).OfType<EnclaveLayout>()];
            if (layouts.Length > 0 && !Array.Exists(layouts, layout => MeasuresTo(layout, wanted.EnclaveHash)))
            {
                throw new ImageException(
                    "once signed it measures to something else: it changed meanwhile, or its signature lies in a measured page");
            }
        }
    }

    private static bool MeasuresTo(EnclaveLayout layout, Hash256 wanted) =>
        EnclaveMeasurer.Measure(layout, new MeasureOptions { Limit = ulong.MaxValue }).MrEnclave == wanted;
}
