using System.Runtime.Intrinsics.X86;
using SoftSgx.Architecture;
using SoftSgx.Kernel;
using SoftSgx.Processor;

namespace SoftSgx.Host.Platform;

/// <summary>The processor that a program finds: this machine's, with SGX.</summary>
public static class HostProcessor
{
    /// <summary>Physical address of the EPC; above any RAM that a program could know of, below 2^46.</summary>
    private const ulong EpcPhysicalBase = 0x2000_0000_0000;

    private const ulong PageSize = 4096;

    /// <summary>x87, SSE, AVX and the three AVX-512 components: what enclaves may use of XCR0. PKRU and AMX are not offered.</summary>
    private const ulong OfferedComponents = 0xE7;

    /// <summary>The configuration for an EPC of a size.</summary>
    /// <param name="epcBytes">Bytes of EPC; a multiple of 4,096.</param>
    /// <param name="sgx1">Nothing that came after SGX1.</param>
    public static ProcessorConfiguration Configure(ulong epcBytes, bool sgx1 = false) => new()
    {
        Sgx2 = !sgx1,
        AexNotify = !sgx1,
        EDecCssa = !sgx1,
        Xfrm = EnabledComponents() & OfferedComponents,
        XsaveLayout = XsaveLayout.FromCurrentProcessor(),
        MxcsrMask = HasMisalignedMode() ? 0x2FFFFu : 0xFFFFu,
        EpcSections = [new EpcSection(EpcPhysicalBase, epcBytes)],
    };

    /// <summary>The processor of a platform.</summary>
    /// <param name="epc">Its EPC.</param>
    /// <param name="sgx1">Nothing that came after SGX1.</param>
    /// <param name="launchControl">What firmware made of launch control.</param>
    public static ProcessorConfiguration Configure(EpcLayout epc, bool sgx1, LaunchControlSetting launchControl)
    {
        ArgumentNullException.ThrowIfNull(epc);
        ArgumentNullException.ThrowIfNull(launchControl);
        ProcessorConfiguration configuration = launchControl.Apply(Configure((ulong)epc.Pages * PageSize, sgx1));
        return configuration with { EpcSections = EpcPlacement.Place(epc, EpcPhysicalBase) };
    }

    /// <summary>CPUID leaf 0x80000001, ECX bit 7: MXCSR has the bit MM, on AMD's processors.</summary>
    private static bool HasMisalignedMode()
    {
        const int ExtendedFeatures = unchecked((int)0x80000001);
        return X86Base.CpuId(int.MinValue, 0).Eax < 0 && ((X86Base.CpuId(ExtendedFeatures, 0).Ecx >> 7) & 1) != 0;
    }

    /// <summary>CPUID leaf 0xD, sub-leaf 0: the components that XCR0 can have, all of which Linux enables.</summary>
    private static ulong EnabledComponents()
    {
        (int eax, _, _, int edx) = X86Base.CpuId(0xD, 0);
        return (uint)eax | ((ulong)(uint)edx << 32);
    }
}
