using System.Globalization;

namespace SoftSgx.Images;

/// <summary>An SDK enclave in ELF: one variant for each metadata block.</summary>
internal static class SdkImage
{
    internal static EnclaveImage Of(
        ImageKind kind,
        string format,
        IReadOnlyList<SdkMetadata> blocks,
        Func<SdkMetadata, (IReadOnlyList<SdkSegment> Segments, IReadOnlyList<ulong> Relocated)> segmentsOf,
        IEnumerable<FactGroup> facts,
        List<string> notes,
        IReadOnlyList<ReviewWarning> warnings)
    {
        int chosen = SdkMetadata.Choose(blocks, out bool isLoadable);
        List<ImageVariant> variants = [];
        int runsLeft = LayoutBuilder.MaximumRuns;
        foreach (SdkMetadata block in blocks)
        {
            (IReadOnlyList<SdkSegment> segments, IReadOnlyList<ulong> relocated) = segmentsOf(block);
            EnclaveLayout layout = SdkLayout.Build(block, segments, relocated, runsLeft, out IReadOnlyList<AddressRange> reserved);
            runsLeft -= Math.Max(layout.Runs.Count(), reserved.Count);
            variants.Add(new ImageVariant
            {
                Name = NameOf(block),
                Layout = layout,
                Reserved = reserved,
                Signature = block.Signature,
                SignatureOffset = (long)block.SignatureOffset,
            });
        }

        if (!isLoadable)
        {
            notes.Add(
                "No metadata block is of a version that the current loader (SDK 2.18 and later) takes; shown is that of the "
                    + $"highest, {blocks[chosen].Version}.");
        }
        else if (blocks.Count > 1)
        {
            notes.Add(string.Create(
                CultureInfo.InvariantCulture,
                $"There are {blocks.Count} metadata blocks; shown is the one that the current loader takes with SGX2, version "
                    + $"{blocks[chosen].Version}."));
        }

        return new EnclaveImage
        {
            Format = format,
            Kind = kind,
            Layout = variants[chosen].Layout,
            Signature = variants[chosen].Signature,
            SignatureOffset = variants[chosen].SignatureOffset,
            Reserved = variants[chosen].Reserved,
            Variants = blocks.Count > 1 ? variants : [],
            ChosenVariant = blocks.Count > 1 ? chosen : 0,
            Facts = [.. facts, .. blocks.Select(static block => block.Facts($"metadata {block.Version}"))],
            Notes = notes,
            FormatWarnings = warnings,
        };
    }

    private static string NameOf(SdkMetadata block) =>
        string.Create(CultureInfo.InvariantCulture, $"metadata {block.Version} at 0x{block.Offset:x}");
}
