namespace SoftSgx.Kernel;

/// <summary>
/// The shared-memory inode behind one opener of the enclave device. It holds the contents of the enclave's REG pages, and of
/// no others: a page is in the inode if and only if it is a REG page in the EPC.
/// </summary>
/// <remarks>Calls come under the enclave's lock or before anybody else knows the enclave.</remarks>
public interface IEnclaveInode : IDisposable
{
    /// <summary>Sets the size, once, after ECREATE accepted it. It may be terabytes; only inserted pages hold memory.</summary>
    /// <param name="bytes">Size of ELRANGE in bytes.</param>
    /// <returns><see langword="false"/> if the host cannot have a file of that size: CREATE answers ENOMEM.</returns>
    public bool TrySetSize(ulong bytes);

    /// <summary>Makes an EPC page's contents live in the inode. They are undefined until the processor writes them.</summary>
    /// <param name="epcPage">Index of the EPC page.</param>
    /// <param name="offset">Offset in bytes from the enclave's base, a multiple of 4096.</param>
    public void InsertPage(int epcPage, ulong offset);

    /// <summary>Takes an EPC page's contents out of the inode and out of every mapping, and forgets them.</summary>
    /// <param name="epcPage">Index of the EPC page.</param>
    /// <param name="offset">The offset at which it was inserted.</param>
    public void RemovePage(int epcPage, ulong offset);
}
