namespace SoftSgx.Kernel;

/// <summary>
/// The ordinary memory that an enclave's evicted pages are swapped to: a file without a name, sparse, of the operating system's
/// shared memory. Nothing in it is trusted: what comes back is checked by ELDU.
/// </summary>
/// <remarks>Calls come under the enclave's lock.</remarks>
public interface IBackingFile : IDisposable
{
    /// <summary>Writes bytes.</summary>
    /// <param name="offset">Offset in bytes.</param>
    /// <param name="data">The bytes; never across the end of a page.</param>
    /// <returns><see langword="false"/> if there is no memory for them.</returns>
    public bool TryWrite(ulong offset, ReadOnlySpan<byte> data);

    /// <summary>Reads bytes; holes read as zeros.</summary>
    /// <param name="offset">Offset in bytes.</param>
    /// <param name="destination">Receives the bytes; never across the end of a page.</param>
    /// <returns><see langword="false"/> if they cannot be read.</returns>
    public bool TryRead(ulong offset, Span<byte> destination);

    /// <summary>Gives the memory of whole pages back.</summary>
    /// <param name="offset">Offset in bytes, a multiple of 4096.</param>
    /// <param name="length">Length in bytes, a multiple of 4096.</param>
    public void Truncate(ulong offset, ulong length);
}
