namespace SoftSgx.Host.Paging;

/// <summary>The pager's decision that an access is a fault: SIGBUS, or SIGSEGV if the EPCM refuses it.</summary>
/// <param name="Space">The address space.</param>
/// <param name="Tid">The thread, by its id in its own process-id namespace.</param>
/// <param name="Address">The address.</param>
/// <param name="IsWrite">The access is a write.</param>
/// <param name="IsRefused">The page is there, and the EPCM lets no program access it: SIGSEGV.</param>
/// <param name="IsFinal">Asking the enclave again would not tell.</param>
/// <param name="Seen">Number of the last stop, of any thread, before the fault was read.</param>
internal readonly record struct FaultVerdict(SpacePaging Space, int Tid, ulong Address, bool IsWrite, bool IsRefused, bool IsFinal, long Seen);
