using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// What the modelled processor can do: the one object that both CPUID leaf 0x12 and the checks of the leaves follow from.
/// </summary>
public sealed record ProcessorConfiguration
{
    /// <summary>The SGX1 leaves are there.</summary>
    public bool Sgx1 { get; init; } = true;

    /// <summary>The SGX2 leaves are there.</summary>
    public bool Sgx2 { get; init; }

    /// <summary>Key separation and sharing: the KSS attribute may be set.</summary>
    public bool Kss { get; init; } = true;

    /// <summary>AEX-Notify: the AEXNOTIFY attribute may be set. Enclaves that use it need <see cref="EDecCssa"/> too.</summary>
    public bool AexNotify { get; init; }

    /// <summary>ENCLU[EDECCSSA] is there.</summary>
    public bool EDecCssa { get; init; }

    /// <summary>OVERSUB-C: the ENCLS leaves that report conflicts as errors (ERDINFO, ETRACKC, ELDBC, ELDUC) are there.</summary>
    public bool Oversub { get; init; }

    /// <summary>ENCLS[EUPDATESVN] is there.</summary>
    public bool EUpdateSvn { get; init; }

    /// <summary>The ENCLV leaves are there: never, because there are no virtual machines here that they could serve.</summary>
    public static bool Enclv => false;

    /// <summary>Bits that SECS.MISCSELECT may have.</summary>
    public MiscSelect MiscSelect { get; init; } = MiscSelect.EXINFO;

    /// <summary>
    /// Attributes that ECREATE accepts, KSS and AEXNOTIFY apart: those follow <see cref="Kss"/> and <see cref="AexNotify"/>. CET is
    /// none of them: it is never enumerated, and ECREATE, EADD and EACCEPT refuse the fields of SECS and TCS that it would have.
    /// </summary>
    public AttributeFlags Attributes { get; init; } =
        AttributeFlags.DEBUG | AttributeFlags.MODE64BIT | AttributeFlags.PROVISIONKEY | AttributeFlags.EINITTOKEN_KEY;

    /// <summary>Components of XCR0 that enclaves may use: the CPU's XCR0 as far as it is supported.</summary>
    public ulong Xfrm { get; init; } = (ulong)(XFeatureMask.Legacy | XFeatureMask.AVX);

    /// <summary>Largest enclave outside 64-bit mode, as a power of two of bytes.</summary>
    public byte MaxEnclaveSizeLog2Not64 { get; init; } = 31;

    /// <summary>
    /// Largest enclave in 64-bit mode, as a power of two of bytes: 16 TiB, so that the number of a page of 4 KiB has 32 bits. There are
    /// programs that reserve a terabyte.
    /// </summary>
    public byte MaxEnclaveSizeLog2_64 { get; init; } = 44;

    /// <summary>Sections of the EPC as CPUID enumerates them.</summary>
    public IReadOnlyList<EpcSection> EpcSections { get; init; } = [];

    /// <summary>SGX_LC, CPUID leaf 7, ECX bit 30: there are the registers IA32_SGXLEPUBKEYHASH0 to 3.</summary>
    public bool SgxLaunchControl { get; init; } = true;

    /// <summary>IA32_FEATURE_CONTROL as firmware leaves it on every logical processor.</summary>
    public FeatureControl FeatureControl { get; init; } =
        FeatureControl.Lock | FeatureControl.SgxLaunchControl | FeatureControl.SgxEnable;

    /// <summary>
    /// IA32_SGXLEPUBKEYHASH0 to 3 as firmware leaves them on every logical processor: Intel's, unless firmware wrote another signer's.
    /// </summary>
    public Hash256 LePubKeyHash { get; init; } = Hash256.From(LogicalProcessor.IntelPubKeyHash);

    /// <summary>
    /// Firmware has enabled SGX. Otherwise CPUID leaf 0x12 enumerates no leaf, and ENCLS and ENCLU are #GP(0):
    /// SDM vol. 3D, "Intel SGX opt-in configuration".
    /// </summary>
    public bool IsSgxEnabled => (FeatureControl & EnabledSgx) == EnabledSgx;

    /// <summary>Software may write IA32_SGXLEPUBKEYHASH0 to 3.</summary>
    public bool LaunchControlWritable =>
        Sgx1 && SgxLaunchControl && IsSgxEnabled && (FeatureControl & FeatureControl.SgxLaunchControl) != 0;

    internal const FeatureControl EnabledSgx = FeatureControl.Lock | FeatureControl.SgxEnable;

    internal static ProcessorConfiguration Default { get; } = new();

    /// <summary>Bits of MXCSR that may be set: MXCSR_MASK of the CPU.</summary>
    public uint MxcsrMask { get; init; } = 0xFFFF;

    /// <summary>Where the components of an XSAVE image lie.</summary>
    public XsaveLayout XsaveLayout { get; init; } = XsaveLayout.Intel;

    /// <summary>Attributes that ECREATE accepts, KSS and AEXNOTIFY among them where they are there.</summary>
    public AttributeFlags SettableAttributes =>
        (Attributes & ~(AttributeFlags.KSS | AttributeFlags.AEXNOTIFY | AttributeFlags.CET))
        | (Kss ? AttributeFlags.KSS : AttributeFlags.None)
        | (AexNotify ? AttributeFlags.AEXNOTIFY : AttributeFlags.None);

    /// <summary>Components that ECREATE accepts in XFRM.</summary>
    public ulong SettableXfrm => Xfrm & XsaveLayout.Supported;

    /// <summary>The configuration as CPUID leaf 0x12 shows it.</summary>
    public SgxFeatures Features => new()
    {
        Sgx1 = Sgx1 && IsSgxEnabled,
        Sgx2 = Sgx2,
        Oversub = Oversub,
        EUpdateSvn = EUpdateSvn,
        EDecCssa = EDecCssa,
        MiscSelect = MiscSelect,
        Attributes = SettableAttributes,
        Xfrm = SettableXfrm,
        MaxEnclaveSizeLog2Not64 = MaxEnclaveSizeLog2Not64,
        MaxEnclaveSizeLog2_64 = MaxEnclaveSizeLog2_64,
        EpcSections = [.. EpcSections],
    };

    /// <summary>True if the processor enumerates that feature; SGX1 goes before all others.</summary>
    public bool Enumerates(LeafFeature feature) => Sgx1 && IsSgxEnabled && feature switch
    {
        LeafFeature.SGX1 => true,
        LeafFeature.SGX2 => Sgx2,
        LeafFeature.OSS => Oversub,
        LeafFeature.EUPDATESVN => EUpdateSvn,
        LeafFeature.EDECCSSA => EDecCssa,
        _ => false,
    };
}
