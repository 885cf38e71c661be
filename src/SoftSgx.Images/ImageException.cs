namespace SoftSgx.Images;

/// <summary>A file is not what it should be: truncated, corrupted, hostile, or of a kind that is not known.</summary>
public sealed class ImageException : Exception
{
    /// <summary>Something is wrong at a place of the file.</summary>
    /// <param name="offset">Offset in bytes into the file.</param>
    /// <param name="reason">What is wrong, without a full stop.</param>
    public ImageException(long offset, string reason) : base($"at offset 0x{offset:x}: {reason}") => Offset = offset;

    /// <summary>Something is wrong with the file as a whole.</summary>
    /// <param name="reason">What is wrong, without a full stop.</param>
    public ImageException(string reason) : base(reason) { }

    /// <summary>Offset in bytes into the file; null if the whole is meant.</summary>
    public long? Offset { get; }
}
