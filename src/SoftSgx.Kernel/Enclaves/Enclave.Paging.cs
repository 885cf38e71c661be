namespace SoftSgx.Kernel;

/// <content>
/// How pages come back and go: faults, and what the reclaimer does to one enclave.
/// Behaviour: arch/x86/kernel/cpu/sgx/encl.c (sgx_encl_load_page, sgx_encl_eldu) and main.c (sgx_encl_ewb).
/// </content>
public sealed partial class Enclave
{
    /// <summary>What paging did for this enclave so far.</summary>
    public PagingCounters Counters => throw new NotImplementedException();

    /// <summary>An address space has come to map the enclave, perhaps by fork. Before its first thread goes on.</summary>
    public void AddAddressSpace(IEnclaveAddressSpace space) => throw new NotImplementedException();

    /// <summary>An address space maps the enclave no longer.</summary>
    public void RemoveAddressSpace(IEnclaveAddressSpace space) => throw new NotImplementedException();

    /// <summary>Handles a page fault, not at most once: the access is tried again and may fault again.</summary>
    /// <param name="address">The address, anywhere in the page.</param>
    /// <param name="mapping">What the mapping asks; <see cref="PageProtection.None"/> skips the comparison with the page's maximum.</param>
    /// <param name="faulting">The address space that faulted, or <see langword="null"/> for the processor's own accesses.</param>
    public FaultOutcome HandleFault(ulong address, PageProtection mapping, IEnclaveAddressSpace? faulting)
        => throw new NotImplementedException();
}
