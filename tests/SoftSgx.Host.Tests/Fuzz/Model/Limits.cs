namespace SoftSgx.Host.Tests.Fuzz.Model;

/// <summary>Where SoftSGX is known to differ from the hardware: docs/limits.md.</summary>
internal static class Limits
{
    /// <summary>
    /// Outside accesses reach enclave memory, as far as the enclave itself could; on hardware they read ones and change nothing, and
    /// never fault. Null: no fault.
    /// </summary>
    internal static string? TouchFromOutside(EnclaveState enclave, PageState page, bool isWrite)
        => !page.IsAccessible || (enclave.IsInitialized && (page.Permissions & (isWrite ? 2ul : 1ul)) == 0) ? "SIGSEGV" : null;

    /// <summary>
    /// A mapping that is older than a page and asks for more than that may have is SIGBUS with Linux. Null: no fault.
    /// </summary>
    internal static string? ExceedMaximum(EnclaveState enclave, PageState page)
        => !enclave.IsInitialized ? null : page.IsAccessible ? "SIGSEGV" : "SIGBUS";
}
