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

    /// <summary>Bits that SECS.MISCSELECT may have.</summary>
    public MiscSelect MiscSelect { get; init; } = MiscSelect.EXINFO;

    /// <summary>Attributes that ECREATE accepts, KSS apart: that one follows <see cref="Kss"/>.</summary>
    public AttributeFlags Attributes { get; init; } =
        AttributeFlags.DEBUG | AttributeFlags.MODE64BIT | AttributeFlags.PROVISIONKEY | AttributeFlags.EINITTOKEN_KEY;

    /// <summary>Components of XCR0 that enclaves may use: the CPU's XCR0 as far as it is supported.</summary>
    public ulong Xfrm { get; init; } = (ulong)(XFeatureMask.Legacy | XFeatureMask.AVX);

    /// <summary>Largest enclave outside 64-bit mode, as a power of two of bytes.</summary>
    public byte MaxEnclaveSizeLog2Not64 { get; init; } = 31;

    /// <summary>Largest enclave in 64-bit mode, as a power of two of bytes.</summary>
    public byte MaxEnclaveSizeLog2_64 { get; init; } = 40;

    /// <summary>Sections of the EPC as CPUID enumerates them.</summary>
    public IReadOnlyList<EpcSection> EpcSections { get; init; } = [];

    /// <summary>Software may write IA32_SGXLEPUBKEYHASH0 to 3.</summary>
    public bool LaunchControlWritable { get; init; } = true;

    /// <summary>Bits of MXCSR that may be set: MXCSR_MASK of the CPU.</summary>
    public uint MxcsrMask { get; init; } = 0xFFFF;

    /// <summary>Where the components of an XSAVE image lie.</summary>
    public XsaveLayout XsaveLayout { get; init; } = XsaveLayout.Intel;

    /// <summary>Attributes that ECREATE accepts, KSS among them where it is there.</summary>
    public AttributeFlags SettableAttributes => Kss ? Attributes | AttributeFlags.KSS : Attributes & ~AttributeFlags.KSS;

    /// <summary>Components that ECREATE accepts in XFRM.</summary>
    public ulong SettableXfrm => Xfrm & XsaveLayout.Supported;

    /// <summary>The configuration as CPUID leaf 0x12 shows it.</summary>
    public SgxFeatures Features => new()
    {
        Sgx1 = Sgx1,
        Sgx2 = Sgx2,
        MiscSelect = MiscSelect,
        Attributes = SettableAttributes,
        Xfrm = SettableXfrm,
        MaxEnclaveSizeLog2Not64 = MaxEnclaveSizeLog2Not64,
        MaxEnclaveSizeLog2_64 = MaxEnclaveSizeLog2_64,
        EpcSections = [.. EpcSections],
    };
}
