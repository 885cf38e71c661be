namespace SoftSgx.Kernel;

/// <summary>What became of a page fault in enclave memory. The counterpart of sgx_vma_fault in arch/x86/kernel/cpu/sgx/encl.c.</summary>
public enum FaultOutcome
{
    /// <summary>The page is in the EPC: try again.</summary>
    Present,

    /// <summary>
    /// The page is being reclaimed, or the EPC is full but not for good: wait for <see cref="Reclaimer.WaitForProgress"/>, and fault again.
    /// </summary>
    Retry,

    /// <summary>
    /// SIGSEGV, with the SGX bit in the error code: the page is in the EPC, and its EPCM entry lets no program access it: a TCS, or a page
    /// that waits for EACCEPT. Trying again would not end.
    /// </summary>
    Refused,

    /// <summary>
    /// SIGSEGV: nothing is mapped there, or the mapping does not allow the access. The driver is not asked, and adds no page.
    /// </summary>
    Forbidden,

    /// <summary>SIGBUS: there is no such page.</summary>
    Absent,

    /// <summary>SIGBUS: <see cref="Enclave.IsOutOfReach"/>.</summary>
    NotInitialized,

    /// <summary>SIGBUS: the mapping asks for more than the page may have.</summary>
    Denied,

    /// <summary>SIGBUS: the EPC is full, and nothing in it can be reclaimed.</summary>
    Exhausted,

    /// <summary>SIGBUS: ELDU refused what came back from the backing store, or it could not be read.</summary>
    Corrupt,

    /// <summary>SIGBUS: the EPC page suffered a memory failure.</summary>
    Poisoned,
}
