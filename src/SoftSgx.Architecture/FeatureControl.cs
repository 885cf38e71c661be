namespace SoftSgx.Architecture;

/// <summary>
/// IA32_FEATURE_CONTROL, as far as it concerns SGX: what firmware opted in to.
/// SDM vol. 4, table "IA-32 architectural MSRs"; SDM vol. 3D, "Intel SGX opt-in configuration".
/// </summary>
[Flags]
public enum FeatureControl : ulong
{
    /// <summary>Nothing: as after reset. Without <see cref="Lock"/> there is no SGX.</summary>
    None = 0,

    /// <summary>Bit 0: the register cannot be written any more until the next reset.</summary>
    Lock = 1UL << 0,

    /// <summary>Bit 17, SGX launch control enable: IA32_SGXLEPUBKEYHASH0 to 3 can be written.</summary>
    SgxLaunchControl = 1UL << 17,

    /// <summary>Bit 18, SGX global enable.</summary>
    SgxEnable = 1UL << 18,
}

/// <summary>Numbers of the model-specific registers that SGX adds or that govern it. SDM vol. 4.</summary>
public static class Msr
{
    /// <summary>Opt-in of firmware, see <see cref="FeatureControl"/>; Linux: MSR_IA32_FEAT_CTL.</summary>
    public const uint IA32_FEATURE_CONTROL = 0x3A;

    /// <summary>Bits 63:0 of the hash of the key that signs launch enclaves; the next three hold the rest.</summary>
    public const uint IA32_SGXLEPUBKEYHASH0 = 0x8C;

    /// <summary>Bits 255:192 of that hash.</summary>
    public const uint IA32_SGXLEPUBKEYHASH3 = 0x8F;
}
