using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>A signature structure for people: every field, MRSIGNER, and whether the signature is valid.</summary>
public static class SignatureFacts
{
    /// <summary>Its facts.</summary>
    /// <param name="signature">The structure.</param>
    /// <param name="offset">Its offset in bytes into the file.</param>
    public static FactGroup Of(in SigStruct signature, long offset) => StructureFacts.SigStruct(in signature, offset);
}
