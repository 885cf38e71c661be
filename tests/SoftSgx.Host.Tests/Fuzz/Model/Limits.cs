namespace SoftSgx.Host.Tests.Fuzz.Model;

/// <summary>Where SoftSGX is known to differ from the hardware: docs/limits.md.</summary>
internal static class Limits
{
    /// <summary>
    /// Outside accesses reach enclave memory, as far as the enclave itself could; on hardware they read ones and change nothing, and
    /// never fault. Null: no fault.
    /// </summary>
    internal static string? TouchFromOutside(Mapping mapping, PageState page, bool isWrite)
        => !page.IsAccessible || (mapping.Enclave.IsInitialized && !Allows(mapping, page, isWrite ? 2ul : 1ul)) ? "SIGSEGV" : null;

    /// <summary>
    /// Mapping and EPCM allow an access; what both allow to be executed can be read too, as page tables cannot say that it may not.
    /// </summary>
    internal static bool Allows(Mapping mapping, PageState page, ulong access)
        => (mapping.Protection & page.Permissions & (access == 1 ? 5ul : access)) != 0;

    /// <summary>
    /// A mapping that is older than a page and asks for more than that may have is SIGBUS with Linux. Null: it depends on whether the page
    /// is in the EPC, or what it was at INIT.
    /// </summary>
    internal static string? TouchBeyondMaximum(EnclaveState enclave, PageState page)
        => enclave.IsInitialized && page.IsAccessible ? "SIGSEGV" : null;

    /// <summary>
    /// CREATE, the first ADD_PAGE and INIT move the mappings of the process that calls them, and bring them in line with what the
    /// EPCM allows; the mappings that other processes have of the enclave by then stay as they are.
    /// </summary>
    internal static bool IsOutOfStep(Mapping mapping) => mapping.IsOutOfStep;
}
