using SoftSgx.Architecture;

namespace SoftSgx.Kernel;

/// <summary>What there is to tell of an enclave, also after its end.</summary>
/// <param name="Number">Counts the enclaves that were created, from 1.</param>
/// <param name="Base">Linear address at which ELRANGE starts.</param>
/// <param name="Size">Size of ELRANGE in bytes.</param>
/// <param name="MrEnclave">MRENCLAVE; zeros before INIT.</param>
/// <param name="IsEnded">It was released.</param>
/// <param name="Counters">What paging did for it.</param>
public sealed record EnclaveReport(int Number, ulong Base, ulong Size, Hash256 MrEnclave, bool IsEnded, PagingCounters Counters);
