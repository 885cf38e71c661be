using System.Collections.Immutable;

namespace SoftSgx.Architecture;

/// <summary>What CPUID returns for one leaf and sub-leaf.</summary>
/// <param name="Eax">Register EAX.</param>
/// <param name="Ebx">Register EBX.</param>
/// <param name="Ecx">Register ECX.</param>
/// <param name="Edx">Register EDX.</param>
public readonly record struct CpuidResult(uint Eax, uint Ebx, uint Ecx, uint Edx);

/// <summary>One contiguous range of physical memory that holds EPC pages.</summary>
/// <param name="PhysicalBase">Physical address of its first byte; a multiple of 4,096 below 2^52.</param>
/// <param name="Size">Size in bytes; a multiple of 4,096 below 2^52, not zero.</param>
public readonly record struct EpcSection(ulong PhysicalBase, ulong Size);

/// <summary>Everything that CPUID leaf 0x12 tells about a processor.</summary>
public sealed record SgxFeatures
{
    /// <summary>The SGX1 leaves are there.</summary>
    public bool Sgx1 { get; init; } = true;

    /// <summary>The SGX2 leaves are there.</summary>
    public bool Sgx2 { get; init; }

    /// <summary>The ENCLV leaves are there.</summary>
    public bool Enclv { get; init; }

    /// <summary>The ENCLS leaves that report conflicts as errors are there: OVERSUB-C.</summary>
    public bool Oversub { get; init; }

    /// <summary>ENCLU[EVERIFYREPORT2] is there.</summary>
    public bool EVerifyReport2 { get; init; }

    /// <summary>ENCLS[EUPDATESVN] is there.</summary>
    public bool EUpdateSvn { get; init; }

    /// <summary>ENCLU[EDECCSSA] is there.</summary>
    public bool EDecCssa { get; init; }

    /// <summary>Bits that SECS.MISCSELECT may have.</summary>
    public MiscSelect MiscSelect { get; init; }

    /// <summary>Bits that software may set in SECS.ATTRIBUTES.</summary>
    public AttributeFlags Attributes { get; init; }

    /// <summary>Bits that software may set in SECS.ATTRIBUTES.XFRM.</summary>
    public ulong Xfrm { get; init; }

    /// <summary>Largest enclave outside 64-bit mode, as a power of two of bytes.</summary>
    public byte MaxEnclaveSizeLog2Not64 { get; init; }

    /// <summary>Largest enclave in 64-bit mode, as a power of two of bytes.</summary>
    public byte MaxEnclaveSizeLog2_64 { get; init; }

    /// <summary>Sections of the EPC, in the order of their sub-leaves.</summary>
    public ImmutableArray<EpcSection> EpcSections { get; init; } = [];
}

/// <summary>
/// CPUID leaf 0x12: enumeration of SGX.
/// SDM vol. 3D, "Intel SGX resource enumeration leaves"; SDM vol. 2A, "CPUID".
/// </summary>
public static class CpuidLeaf12
{
    /// <summary>The leaf number.</summary>
    public const uint Leaf = 0x12;

    private const uint ValidEpcSection = 1;
    private const uint ConfidentialAndIntegrityProtected = 1;
    private const uint Low20Bits = 0x000F_FFFF;
    private const uint High20Bits = 0xFFFF_F000;

    /// <summary>Registers that CPUID returns for EAX = 0x12 and ECX = <paramref name="subLeaf"/>.</summary>
    /// <remarks>
    /// <code>
    /// sub-leaf 0   EAX  0 SGX1 | 1 SGX2 | 5 ENCLV | 6 OVERSUB-C | 7 EVERIFYREPORT2 | 10 EUPDATESVN | 11 EDECCSSA
    ///              EBX  MISCSELECT     EDX  7:0 log2 of size, not 64-bit | 15:8 64-bit
    /// sub-leaf 1   EBX:EAX  settable ATTRIBUTES           EDX:ECX  settable XFRM
    /// sub-leaf 2+  EAX  3:0 type 1 | 31:12 base 31:12     EBX  19:0 base 51:32
    ///              ECX  3:0 properties 1 | 31:12 size     EDX  19:0 size 51:32
    /// then         all zero
    /// </code>
    /// </remarks>
    public static CpuidResult Compute(SgxFeatures features, uint subLeaf) => subLeaf switch
    {
        0 => Capabilities(features),
        1 => Attributes(features),
        _ => Section(features.EpcSections, subLeaf - 2),
    };

    private static CpuidResult Capabilities(SgxFeatures features)
    {
        uint eax = (features.Sgx1 ? 1u << 0 : 0)
            | (features.Sgx2 ? 1u << 1 : 0)
            | (features.Enclv ? 1u << 5 : 0)
            | (features.Oversub ? 1u << 6 : 0)
            | (features.EVerifyReport2 ? 1u << 7 : 0)
            | (features.EUpdateSvn ? 1u << 10 : 0)
            | (features.EDecCssa ? 1u << 11 : 0);
        uint edx = features.MaxEnclaveSizeLog2Not64 | ((uint)features.MaxEnclaveSizeLog2_64 << 8);
        return new CpuidResult(eax, (uint)features.MiscSelect, 0, edx);
    }

    private static CpuidResult Attributes(SgxFeatures features)
    {
        ulong flags = (ulong)features.Attributes;
        return new CpuidResult((uint)flags, (uint)(flags >> 32), (uint)features.Xfrm, (uint)(features.Xfrm >> 32));
    }

    private static CpuidResult Section(ImmutableArray<EpcSection> sections, uint index)
    {
        if (index >= (uint)sections.Length)
        {
            return default;
        }

        EpcSection section = sections[(int)index];
        return new CpuidResult(
            ((uint)section.PhysicalBase & High20Bits) | ValidEpcSection,
            (uint)(section.PhysicalBase >> 32) & Low20Bits,
            ((uint)section.Size & High20Bits) | ConfidentialAndIntegrityProtected,
            (uint)(section.Size >> 32) & Low20Bits);
    }
}
