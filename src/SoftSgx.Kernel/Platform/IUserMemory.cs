namespace SoftSgx.Kernel;

/// <summary>
/// The memory of the program that makes a call: copy in, copy out, and what it has mapped where.
/// The counterpart of copy_from_user, copy_to_user and find_vma in Linux.
/// </summary>
/// <remarks>Addresses come from the program and may have any value; none may make an implementation throw.</remarks>
public interface IUserMemory
{
    /// <summary>Copies from the program.</summary>
    /// <param name="address">Address of the first byte, of any alignment.</param>
    /// <param name="destination">Receives the bytes; its contents are undefined after a failure.</param>
    /// <returns><see langword="false"/> if a byte of the range cannot be read.</returns>
    public bool TryRead(ulong address, Span<byte> destination);

    /// <summary>Copies to the program.</summary>
    /// <param name="address">Address of the first byte, of any alignment.</param>
    /// <param name="source">The bytes to write.</param>
    /// <returns><see langword="false"/> if a byte of the range cannot be written; others may have been.</returns>
    public bool TryWrite(ulong address, ReadOnlySpan<byte> source);

    /// <summary>Finds the mapping that a source page of ADD_PAGES lies in.</summary>
    /// <param name="address">Address of the page.</param>
    /// <returns>
    /// The mapping that contains <paramref name="address"/>, or the default value if there is none. (Linux takes the first
    /// mapping that ends above the address; an implementation may do so too.)
    /// </returns>
    public SourceMapping FindMapping(ulong address);

    /// <summary>
    /// Whether a range of a private file mapping was changed since it was mapped, so that it holds anonymous memory instead of the file's
    /// pages. Asked only if a security module wants to know where code comes from.
    /// </summary>
    /// <param name="address">First address, page-aligned, in the mapping that <see cref="FindMapping"/> found.</param>
    /// <param name="length">Length in bytes.</param>
    /// <returns><see langword="true"/> if a page of it was, or if that cannot be told.</returns>
    public bool IsModified(ulong address, ulong length) => false;

    /// <summary>A signal waits for the calling thread: a long call ends early.</summary>
    public bool IsSignalPending => false;
}

/// <summary>A mapping of the program that enclave pages are copied from.</summary>
/// <param name="Start">First address.</param>
/// <param name="End">First address behind; 0 in the value that means "no mapping".</param>
/// <param name="MayExecute">
/// The mapping may be made executable (VM_MAYEXEC): what it maps does not lie on a file system mounted noexec.
/// It need not be executable now.
/// </param>
public readonly record struct SourceMapping(ulong Start, ulong End, bool MayExecute)
{
    /// <summary>
    /// Path of the file that it maps; <see langword="null"/> for anonymous memory and for files that no path names: deleted ones and
    /// memfds.
    /// </summary>
    public string? Path { get; init; }

    /// <summary>The mapping is private: writes to it do not reach the file.</summary>
    public bool IsPrivate { get; init; }

    /// <summary>A mapping was found.</summary>
    public bool Exists => End != 0;

    /// <summary>The address lies in the mapping.</summary>
    /// <param name="address">Any address.</param>
    /// <returns><see langword="true"/> if it does.</returns>
    public bool Contains(ulong address) => address >= Start && address < End;
}
