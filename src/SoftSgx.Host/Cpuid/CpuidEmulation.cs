using System.Runtime.Intrinsics.X86;
using SoftSgx.Architecture;

namespace SoftSgx.Host.Cpuid;

/// <summary>The results of CPUID on the emulated processor: the machine's own, and SGX.</summary>
/// <remarks>
/// SDM vol. 2A, "CPUID"; for the translated cache leaves, AMD's Architecture Programmer's Manual, vol. 3, appendix E.
/// The native instruction runs on the supervisor's logical processor, so the fields that differ between processors (APIC
/// identifiers in leaves 1, 0xB, 0x1F and 0x8000001E) are the supervisor's.
/// </remarks>
public static class CpuidEmulation
{
    /// <summary>The CPUID instruction of the machine, or a stand-in.</summary>
    internal delegate CpuidResult NativeCpuid(uint leaf, uint subleaf);

    private const uint LeafVendor = 0;
    private const uint LeafCacheDescriptors = 2;
    private const uint LeafCacheParameters = 4;
    private const uint LeafExtendedFeatures = 7;
    private const uint LeafSgx = CpuidLeaf12.Leaf;
    private const uint FirstHypervisorLeaf = 0x4000_0000;
    private const uint LeafExtendedMaximum = 0x8000_0000;
    private const uint LeafAmdProcessor = 0x8000_0001;
    private const uint LeafAmdSizes = 0x8000_0008;
    private const uint LeafAmdCacheParameters = 0x8000_001D;

    private const uint EbxSgx = 1u << 2;
    private const uint EcxSgxLaunchControl = 1u << 30;
    private const uint EcxAmdTopologyExtensions = 1u << 22;

    private const uint VendorEbx = 0x756e_6547; // "Genu"
    private const uint VendorEdx = 0x4965_6e69; // "ineI"
    private const uint VendorEcx = 0x6c65_746e; // "ntel"

    /// <summary>True for the leaves that tell processors apart: they contain APIC identifiers.</summary>
    internal static bool DiffersByProcessor(uint leaf) => leaf is 1 or 0xB or 0x1F or 0x8000_001E;

    /// <summary>
    /// True for leaves that the emulated processor answers as the machine's own does, whatever that is: nothing is lost if the instruction
    /// executes natively.
    /// </summary>
    internal static bool IsNative(uint leaf) => leaf is 1 or 5 or 6 or 0xB or 0xD or >= FirstHypervisorLeaf;

    /// <summary>Executes CPUID with EAX = <paramref name="leaf"/> and ECX = <paramref name="subleaf"/>.</summary>
    public static CpuidResult Execute(uint leaf, uint subleaf, CpuidFeatures features) =>
        Execute(leaf, subleaf, features, ExecuteNatively);

    internal static CpuidResult Execute(uint leaf, uint subleaf, CpuidFeatures features, NativeCpuid native)
    {
        ArgumentNullException.ThrowIfNull(features);
        if (leaf >= FirstHypervisorLeaf)
        {
            return native(leaf, subleaf);
        }

        CpuidResult vendor = native(LeafVendor, 0);
        uint nativeMaximum = vendor.Eax;
        uint maximum = Math.Max(nativeMaximum, LeafSgx);
        bool nativeIsIntel = IsIntel(vendor);
        if (leaf > maximum)
        {
            // Intel's processors answer with the highest basic leaf, others with zeros.
            if (!nativeIsIntel && !features.GenuineIntel)
            {
                return native(leaf, subleaf);
            }
            leaf = maximum;
        }

        // Asking an Intel processor for a leaf that it lacks would return the contents of another.
        CpuidResult result = leaf <= nativeMaximum ? native(leaf, subleaf) : default;
        switch (leaf)
        {
            case LeafVendor:
                result = result with { Eax = maximum };
                return features.GenuineIntel ? result with { Ebx = VendorEbx, Ecx = VendorEcx, Edx = VendorEdx } : result;
            case LeafCacheDescriptors when features.GenuineIntel && !nativeIsIntel && HasAmdCacheLeaf(native):
                return UseLeaf4;
            case LeafCacheParameters when features.GenuineIntel && !nativeIsIntel && HasAmdCacheLeaf(native):
                return CacheParameters(subleaf, native);
            case LeafExtendedFeatures when subleaf == 0:
                return result with
                {
                    Ebx = result.Ebx | EbxSgx,
                    Ecx = features.LaunchControl ? result.Ecx | EcxSgxLaunchControl : result.Ecx & ~EcxSgxLaunchControl,
                };
            case LeafSgx:
                return CpuidLeaf12.Compute(features.Sgx, subleaf);
            default:
                return result;
        }
    }

    /// <summary>Leaf 2 of a processor that describes its caches in leaf 4 (descriptor FF) and prefetches 64 bytes (F0).</summary>
    private static CpuidResult UseLeaf4 => new(0x0000_ff01, 0x0000_00f0, 0, 0);

    /// <summary>AMD's cache leaf is laid out as Intel's leaf 4, but for the number of cores in the package, EAX[31:26].</summary>
    private static CpuidResult CacheParameters(uint subleaf, NativeCpuid native)
    {
        CpuidResult cache = native(LeafAmdCacheParameters, subleaf);
        const uint CacheType = 0x1f;
        if ((cache.Eax & CacheType) == 0)
        {
            return default; // no more caches
        }
        uint coresMinus1 = Math.Min(native(LeafAmdSizes, 0).Ecx & 0xff, 0x3f);
        return cache with { Eax = (cache.Eax & 0x03ff_ffff) | (coresMinus1 << 26) };
    }

    private static bool HasAmdCacheLeaf(NativeCpuid native) =>
        native(LeafExtendedMaximum, 0).Eax >= LeafAmdCacheParameters
        && (native(LeafAmdProcessor, 0).Ecx & EcxAmdTopologyExtensions) != 0;

    private static bool IsIntel(CpuidResult vendor) =>
        vendor is { Ebx: VendorEbx, Ecx: VendorEcx, Edx: VendorEdx };

    private static CpuidResult ExecuteNatively(uint leaf, uint subleaf)
    {
        (int eax, int ebx, int ecx, int edx) = X86Base.CpuId(unchecked((int)leaf), unchecked((int)subleaf));
        return new CpuidResult((uint)eax, (uint)ebx, (uint)ecx, (uint)edx);
    }
}
