using System.Diagnostics.CodeAnalysis;
using SoftSgx.Processor;

namespace SoftSgx.Kernel;

/// <summary>
/// The address space of a thread as the processor and the kernel see it: page tables, and the mappings of enclaves behind them.
/// The kernel's half is the counterpart of find_vma in Linux.
/// </summary>
public interface IProcessAddressSpace : ILinearAddressSpace
{
    /// <summary>Finds the mapping of enclave memory at an address.</summary>
    /// <param name="address">Any linear address.</param>
    /// <param name="enclave">The enclave that is mapped there.</param>
    /// <param name="protection">What the mapping asks for.</param>
    /// <returns><see langword="false"/> if nothing is mapped there, or something else.</returns>
    public bool TryFindMapping(ulong address, [NotNullWhen(true)] out Enclave? enclave, out PageProtection protection);
}
