using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>One way in which a file can be built into an enclave: an Intel SDK enclave has a metadata block for each.</summary>
public sealed class ImageVariant
{
    /// <summary>What tells it from the others: "metadata 1.4 at 0x2291a5".</summary>
    public required string Name { get; init; }

    /// <summary>How the enclave is built; null if the file does not tell.</summary>
    public EnclaveLayout? Layout { get; init; }

    /// <summary>Its signature structure; null if it is not signed.</summary>
    public SigStruct? Signature { get; init; }

    /// <summary>Offset in bytes of the signature structure into the file.</summary>
    public long SignatureOffset { get; init; }

    /// <summary>Parts of the address range that are reserved and get no pages when the enclave is built.</summary>
    public IReadOnlyList<AddressRange> Reserved { get; init; } = [];
}
