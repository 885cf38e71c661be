using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>What an instruction does to the address it names.</summary>
public enum AccessKind
{
    /// <summary>It reads.</summary>
    Read,

    /// <summary>It writes.</summary>
    Write,

    /// <summary>It fetches.</summary>
    Execute,
}

/// <summary>The page tables of the address space that a logical processor runs in.</summary>
public interface ILinearAddressSpace
{
    /// <summary>Walks the page tables for a user-mode access to <paramref name="address"/>.</summary>
    /// <param name="address">Any linear address.</param>
    /// <param name="access">Kind of the access.</param>
    /// <param name="epcPage">The EPC page that the address maps, or -1 for ordinary memory.</param>
    /// <param name="faultError">Error code of the page fault where the page tables refuse the access.</param>
    /// <returns>False if the page tables refuse the access.</returns>
    public bool TryTranslate(ulong address, AccessKind access, out int epcPage, out PageFaultError faultError);
}
