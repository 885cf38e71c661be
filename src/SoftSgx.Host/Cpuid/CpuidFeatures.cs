using SoftSgx.Architecture;

namespace SoftSgx.Host.Cpuid;

/// <summary>What CPUID is to say beyond the processor's own answers.</summary>
/// <param name="sgx">The contents of leaf 0x12.</param>
public sealed class CpuidFeatures(SgxFeatures sgx)
{
    /// <summary>The contents of leaf 0x12.</summary>
    public SgxFeatures Sgx { get; } = sgx;

    /// <summary>SGX_LC, leaf 7, ECX bit 30: the launch-control registers are there.</summary>
    public bool LaunchControl { get; init; } = true;

    /// <summary>
    /// Whether leaf 0 names the vendor "GenuineIntel", which some programs look for before they ask for SGX. Off unless asked
    /// for: programs then expect all that Intel's processors do, and not only leaves 2 and 4, which are translated.
    /// </summary>
    public bool GenuineIntel { get; init; }
}
