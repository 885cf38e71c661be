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
}
