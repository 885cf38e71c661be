using SoftSgx.Architecture;

namespace SoftSgx.Images;

/// <summary>Files with a signature structure in them.</summary>
public static class SignedFile
{
    /// <summary>Writes a SIGSTRUCT, alone or in the place that a file has for it.</summary>
    /// <param name="output">Where to; must be able to seek.</param>
    /// <param name="source">The file to copy; null writes the structure alone.</param>
    /// <param name="offset">Offset in bytes of the place into the file.</param>
    /// <param name="sig">The structure.</param>
    /// <exception cref="ImageException">The file ends before the place does.</exception>
    public static void Write(Stream output, string? source, long offset, in SigStruct sig)
    {
        ArgumentNullException.ThrowIfNull(output);
        if (source is not null)
        {
            using FileStream input = File.OpenRead(source);
            input.CopyTo(output);
            if (offset < 0 || offset > output.Length - SigStruct.Size)
            {
                throw new ImageException(output.Length, "the file ended before its signature did");
            }
        }

        output.Position = offset;
        output.Write(Bytes.Of(in sig));
    }

    /// <summary>Reads a signed file once more: its signature must be this one, and for what it measures to.</summary>
    /// <exception cref="ImageException">It is not.</exception>
    public static void Check(string path, in SigStruct sig)
    {
        EnclaveImage image = ImageReader.Read(path);
        if (image.Signature is not { } found || !Bytes.Of(in found).SequenceEqual(Bytes.Of(in sig)))
        {
            throw new ImageException("the file changed while it was signed, or has no place for a signature");
        }

        if (image.Layout is { } layout && EnclaveMeasurer.Measure(layout, new MeasureOptions { Limit = ulong.MaxValue }).MrEnclave != sig.EnclaveHash)
        {
            throw new ImageException("the file measures to something else once it is signed: it changed meanwhile, or its signature lies in a measured page");
        }
    }
}
