using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>Checks and faults that several supervisor leaves share.</summary>
internal static class EnclsChecks
{
    private const int PageShift = 12;
    private const SecInfoFlags Sgx2Flags = SecInfoFlags.PENDING | SecInfoFlags.MODIFIED | SecInfoFlags.PR;

    /// <summary>
    /// #PF on an EPC page operand. The linear address at which a kernel would have mapped the page is not known here:
    /// the fault carries the page's offset in the EPC.
    /// </summary>
    public static LeafResult PageFault(int epcPage) => LeafResult.FromFault(
        Fault.Page((ulong)(uint)epcPage << PageShift, PageFaultError.Present | PageFaultError.Write | PageFaultError.Sgx));

    /// <summary>True if no reserved field of a SECINFO is set; the flags of SGX2 are reserved without it.</summary>
    public static bool IsReservedZero(ProcessorConfiguration configuration, in SecInfo secInfo) =>
        secInfo.IsReservedZero && (configuration.Sgx2 || (secInfo.Flags & Sgx2Flags) == 0);

    /// <summary>True if EPC page <paramref name="page"/> holds a valid SECS. The caller has its entry locked.</summary>
    public static bool IsSecs(Epcm epcm, int page) => epcm.IsValid(page) && epcm.TypeOf(page) == PageType.PT_SECS;

    /// <summary>True if EPC page <paramref name="page"/> holds a valid version array. The caller has its entry locked.</summary>
    public static bool IsVersionArray(Epcm epcm, int page) => epcm.IsValid(page) && epcm.TypeOf(page) == PageType.PT_VA;

    /// <summary>True if pages of that type belong to an enclave.</summary>
    public static bool IsChild(PageType type) => type is PageType.PT_REG or PageType.PT_TCS or PageType.PT_TRIM;

    /// <summary>
    /// True if the processor does not enumerate the feature that a leaf comes with. The fault is the one of ENCLS itself: #UD
    /// without SGX, #GP(0) for a leaf that is not there.
    /// </summary>
    public static bool IsMissing(ProcessorConfiguration configuration, LeafFeature feature, out LeafResult fault)
    {
        fault = configuration.Sgx1 ? LeafResult.GeneralProtection : LeafResult.InvalidOpcode;
        return !configuration.Enumerates(feature);
    }
}
