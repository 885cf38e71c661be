using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>What a file holds: a layout, a signature, or both.</summary>
public sealed class EnclaveImage
{
    /// <summary>The kind of file, for people: "Intel SDK enclave (ELF)", "SIGSTRUCT".</summary>
    public required string Format { get; init; }

    /// <summary>How the enclave is built; null if the file does not tell (a bare SIGSTRUCT).</summary>
    public EnclaveLayout? Layout { get; init; }

    /// <summary>Its signature structure; null if there is none in the file.</summary>
    public SigStruct? Signature { get; init; }

    /// <summary>Offset in bytes of the signature structure into the file.</summary>
    public long SignatureOffset { get; init; }
}
