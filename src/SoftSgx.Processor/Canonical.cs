namespace SoftSgx.Processor;

/// <summary>
/// Canonical linear addresses of 48-bit paging.
/// SDM vol. 1, "Canonical addressing".
/// </summary>
internal static class Canonical
{
    /// <summary>True if bits 63:47 of <paramref name="address"/> are all equal.</summary>
    public static bool IsCanonical(ulong address) => (ulong)((long)(address << 16) >> 16) == address;
}
