using System.Globalization;
using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Kernel;

/// <summary>
/// Every logical processor must be as the boot processor, but for IA32_SGXLEPUBKEYHASH0 to 3: the driver asks CPUID once, and a thread
/// may go into an enclave on one processor and on with it on another. Linux assumes it; here it is looked at.
/// </summary>
public static class ProcessorUniformity
{
    /// <summary>Sub-leaves of CPUID leaf 0x12 that are compared: more than any configuration has sections.</summary>
    private const uint MaximumSubLeaf = 2 + 64;

    /// <summary>How a logical processor differs from the boot processor.</summary>
    /// <param name="boot">The boot processor.</param>
    /// <param name="other">The other one.</param>
    /// <returns>The first difference, by its name and both values; <see langword="null"/> if there is none that matters.</returns>
    public static string? Difference(ProcessorConfiguration boot, ProcessorConfiguration other)
    {
        ArgumentNullException.ThrowIfNull(boot);
        ArgumentNullException.ThrowIfNull(other);
        if (boot.SgxLaunchControl != other.SgxLaunchControl)
        {
            return $"CPUID leaf 7, ECX bit 30 (SGX_LC): {Bit(other.SgxLaunchControl)}, not {Bit(boot.SgxLaunchControl)}";
        }

        if (boot.FeatureControl != other.FeatureControl)
        {
            return Invariant($"IA32_FEATURE_CONTROL: 0x{(ulong)other.FeatureControl:x}, not 0x{(ulong)boot.FeatureControl:x}");
        }

        SgxFeatures bootFeatures = boot.Features, otherFeatures = other.Features;
        for (uint subLeaf = 0; subLeaf < MaximumSubLeaf; subLeaf++)
        {
            CpuidResult a = CpuidLeaf12.Compute(bootFeatures, subLeaf), b = CpuidLeaf12.Compute(otherFeatures, subLeaf);
            if (Difference(CpuidLeaf12.Leaf, subLeaf, a, b) is string difference)
            {
                return difference;
            }
        }

        if (boot.MxcsrMask != other.MxcsrMask)
        {
            return Invariant($"MXCSR_MASK: 0x{other.MxcsrMask:x}, not 0x{boot.MxcsrMask:x}");
        }

        if (boot.XsaveLayout.Supported != other.XsaveLayout.Supported)
        {
            return Invariant($"CPUID leaf 0xd, components: 0x{other.XsaveLayout.Supported:x}, not 0x{boot.XsaveLayout.Supported:x}");
        }

        for (int component = 2; component < 64; component++)
        {
            (XsaveComponent a, XsaveComponent b) = (boot.XsaveLayout[component], other.XsaveLayout[component]);
            if (a != b)
            {
                return Invariant($"CPUID leaf 0xd, sub-leaf {component}: {b.Size} bytes at {b.Offset}, not {a.Size} at {a.Offset}");
            }
        }

        return null;
    }

    /// <summary>How the answers of two processors to one CPUID differ.</summary>
    /// <param name="leaf">EAX.</param>
    /// <param name="subLeaf">ECX.</param>
    /// <param name="boot">What the boot processor answers.</param>
    /// <param name="other">What the other one answers.</param>
    /// <returns>The first register that differs, with both values; <see langword="null"/> if none does.</returns>
    public static string? Difference(uint leaf, uint subLeaf, CpuidResult boot, CpuidResult other)
    {
        ReadOnlySpan<(string Name, uint Boot, uint Other)> registers =
        [
            ("EAX", boot.Eax, other.Eax), ("EBX", boot.Ebx, other.Ebx), ("ECX", boot.Ecx, other.Ecx), ("EDX", boot.Edx, other.Edx),
        ];
        foreach ((string name, uint a, uint b) in registers)
        {
            if (a != b)
            {
                return Invariant($"CPUID leaf 0x{leaf:x}, sub-leaf {subLeaf}, {name}: 0x{b:x8}, not 0x{a:x8}");
            }
        }

        return null;
    }

    private static int Bit(bool value) => value ? 1 : 0;

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
