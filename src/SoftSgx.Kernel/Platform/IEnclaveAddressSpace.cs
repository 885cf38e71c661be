namespace SoftSgx.Kernel;

/// <summary>
/// One address space that maps an enclave: the enclave's entry in the page tables of a process. The counterpart of struct sgx_encl_mm
/// and of what the reclaimer does through it (arch/x86/kernel/cpu/sgx/main.c, encl.c).
/// </summary>
/// <remarks>
/// Pages are named by their offset in bytes from the enclave's base. Calls come from any thread, those of one enclave one at a time,
/// some of them under the enclave's lock: implementations must not call back into the enclave, nor wait for a thread that may be in it.
/// A page that the address space does not map, or no longer, counts as not accessed and has nothing to zap.
/// </remarks>
public interface IEnclaveAddressSpace
{
    /// <summary>
    /// Tests and clears the Accessed state of pages: <paramref name="accessed"/> is set, never cleared, for those that this address
    /// space touched since the last call.
    /// </summary>
    /// <param name="offsets">The pages.</param>
    /// <param name="accessed">As many flags.</param>
    public void TestAndClearAccessed(ReadOnlySpan<ulong> offsets, Span<bool> accessed);

    /// <summary>
    /// Takes the pages away from the address space's threads: when it returns, none of them can change the pages, and each that
    /// was running has been interrupted (the TLB shootdown). Who touches a page for writing from now on waits until it is gone
    /// and the fault is handled; reads may go on until then.
    /// </summary>
    /// <param name="offsets">The pages.</param>
    public void Zap(ReadOnlySpan<ulong> offsets);

    /// <summary>
    /// The EPCM allows less for a page than before, or a page is about to come into the inode: when it returns, no thread of the address
    /// space can use the page in a way that the EPCM forbids. (More than before needs no call: whoever is refused by what is
    /// mapped looks again.)
    /// </summary>
    /// <param name="offset">The page.</param>
    /// <param name="epcm">What the EPCM allows.</param>
    public void Restrict(ulong offset, PageProtection epcm);

    /// <summary>
    /// A page that the address space faulted on is in the EPC and stays: its threads may write it again, should
    /// <see cref="Zap"/> have kept them from it. Under the enclave's lock, so that no eviction begins in between.
    /// </summary>
    /// <param name="offset">The page.</param>
    public void Admit(ulong offset)
    {
    }
}
