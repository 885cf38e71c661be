namespace SoftSgx.Host.Platform;

/// <summary>Byte strings as people write them: hexadecimal, first byte first, of exactly the length asked.</summary>
public static class HexField
{
    /// <summary>Reads exactly <paramref name="destination"/>'s bytes.</summary>
    /// <returns><see langword="false"/>, and zeros, if the text is of another length or has other characters.</returns>
    public static bool TryParse(ReadOnlySpan<char> text, Span<byte> destination)
    {
        if (text.Length == 2 * destination.Length
            && Convert.FromHexString(text, destination, out _, out int written) == System.Buffers.OperationStatus.Done
            && written == destination.Length)
        {
            return true;
        }
        destination.Clear();
        return false;
    }
}
