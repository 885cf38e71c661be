using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>Tells what kind of file a file is, and reads it.</summary>
public static class ImageReader
{
    /// <summary>Reads a file.</summary>
    /// <param name="path">The file.</param>
    /// <exception cref="ImageException">It is of no known kind, or not well-formed.</exception>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static EnclaveImage Read(string path)
    {
        byte[] file = File.ReadAllBytes(path);
        if (file.Length == SigStruct.Size && file.AsSpan().StartsWith(SigStruct.HeaderConstant))
        {
            return new EnclaveImage { Format = "SIGSTRUCT", Signature = MemoryMarshal.Read<SigStruct>(file) };
        }

        throw new ImageException("no kind of enclave file that is known");
    }
}
