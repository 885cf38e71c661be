using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>What a file holds: a layout, a signature, or both, and what else there is to know of it.</summary>
public sealed class EnclaveImage
{
    /// <summary>The kind of file, for people: "Intel SDK enclave (ELF)", "SIGSTRUCT".</summary>
    public required string Format { get; init; }

    /// <summary>The kind of file, for programs.</summary>
    public ImageKind Kind { get; init; }

    /// <summary>How the enclave is built; null if the file does not tell (a bare SIGSTRUCT).</summary>
    public EnclaveLayout? Layout { get; init; }

    /// <summary>Its signature structure; null if there is none in the file.</summary>
    public SigStruct? Signature { get; init; }

    /// <summary>Offset in bytes of the signature structure into the file.</summary>
    public long SignatureOffset { get; init; }

    /// <summary>Parts of the address range that are reserved and get no pages when the enclave is built.</summary>
    public IReadOnlyList<AddressRange> Reserved { get; init; } = [];

    /// <summary>
    /// Every way in which the file can be built, in the file's order; empty unless there are several. <see cref="Layout"/> and
    /// <see cref="Signature"/> are those of number <see cref="ChosenVariant"/>.
    /// </summary>
    public IReadOnlyList<ImageVariant> Variants { get; init; } = [];

    /// <summary>Which of <see cref="Variants"/> the current loader takes.</summary>
    public int ChosenVariant { get; init; }

    /// <summary>Everything else in the file, structure by structure.</summary>
    public IReadOnlyList<FactGroup> Facts { get; init; } = [];

    /// <summary>What a reader of the file should know: why there is no layout, which assumption the layout rests on. Sentences.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>What the format itself gives a reviewer reason to ask about; the rest is <see cref="ImageReview"/>'s.</summary>
    public IReadOnlyList<ReviewWarning> FormatWarnings { get; init; } = [];
}
