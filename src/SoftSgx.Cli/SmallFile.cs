namespace SoftSgx.Cli;

/// <summary>A file whose length is known before.</summary>
internal static class SmallFile
{
    /// <summary>Its bytes; one more than expected if it is longer, however much that is.</summary>
    internal static byte[] Read(string path, int expected)
    {
        using FileStream file = File.OpenRead(path);
        byte[] bytes = new byte[expected + 1];
        int length = file.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
        return bytes[..length];
    }
}
