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
}
