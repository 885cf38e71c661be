using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// The ENCLV instruction: for virtual machines that oversubscribe the EPC. There is no VMX here, so CPUID never enumerates it.
/// SDM vol. 3D, "ENCLV - execute an enclave VMM function of specified leaf number".
/// </summary>
public static class Enclv
{
    /// <summary>Executes ENCLV with that leaf in EAX.</summary>
    /// <returns>#UD for all of them; <see cref="LeafTable"/> says why.</returns>
    public static LeafResult Execute(EnclvLeaf leaf)
    {
        _ = leaf;
        return LeafResult.InvalidOpcode;
    }
}
