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

    /// <summary>
    /// Takes an EPC page's contents out of the inode and out of every mapping, and forgets them. Of a frozen page the inode may
    /// keep the copy, which nobody can change, until <see cref="CompleteRemovals"/>.
    /// </summary>
    /// <param name="epcPage">Index of the EPC page.</param>
    /// <param name="offset">The offset at which it was inserted.</param>
    public void RemovePage(int epcPage, ulong offset);

    /// <summary>A batch of pages was frozen and removed: completes what <see cref="RemovePage"/> put off.</summary>
    public void CompleteRemovals()
    {
    }

    /// <summary>
    /// Before EWB: gives the EPC page a private frame with a copy of its contents, which nobody can change. The page stays in the
    /// inode until <see cref="RemovePage"/>, which also takes the private frame away. It was zapped in all address spaces before.
    /// </summary>
    /// <param name="epcPage">Index of the EPC page.</param>
    /// <param name="offset">The offset at which it was inserted.</param>
    public void Freeze(int epcPage, ulong offset);

    /// <summary>Undoes <see cref="Freeze"/>, the page being the same: EWB failed, or its result could not be kept.</summary>
    /// <param name="epcPage">Index of the EPC page.</param>
    /// <param name="offset">The offset at which it was inserted.</param>
    public void Thaw(int epcPage, ulong offset);

    /// <summary>Before ELDU: gives an EPC page a private frame, of undefined contents, that no program can map.</summary>
    /// <param name="epcPage">Index of the EPC page.</param>
    public void Stage(int epcPage);

    /// <summary>
    /// After ELDU: the contents of the private frame become a page of the inode, all at once, so that no thread ever sees half of
    /// them; and the private frame goes.
    /// </summary>
    /// <param name="epcPage">Index of the EPC page.</param>
    /// <param name="offset">Offset in bytes from the enclave's base.</param>
    /// <param name="faulting">
    /// The address space whose fault is being handled: the page may be entered into its page tables in the same step.
    /// <see langword="null"/> if there is none.
    /// </param>
    public void Publish(int epcPage, ulong offset, IEnclaveAddressSpace? faulting);

    /// <summary>Undoes <see cref="Stage"/>: ELDU failed.</summary>
    /// <param name="epcPage">Index of the EPC page.</param>
    public void Unstage(int epcPage);
}
