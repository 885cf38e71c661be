using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// A memory operand of a leaf that must lie inside the enclave that executes it.
/// SDM vol. 3D, EREPORT and EGETKEY (address verification).
/// </summary>
internal static class EnclaveOperand
{
    private const ulong PageMask = 4095;

    /// <summary>
    /// Checks alignment, address range, page tables and EPCM. On success <paramref name="bytes"/> is the operand in place;
    /// other threads of the enclave may change it at any time, so copy before checking what it says.
    /// </summary>
    public static LeafResult Find(
        SgxProcessor processor,
        LogicalProcessor logical,
        ILinearAddressSpace space,
        ulong address,
        uint alignment,
        int length,
        AccessKind access,
        out Span<byte> bytes)
    {
        Epcm epcm = processor.Epcm;
        PageFaultError write = access == AccessKind.Write ? PageFaultError.Write : PageFaultError.None;
        bytes = default;

        if ((address & (alignment - 1)) != 0) return LeafResult.GeneralProtection;
        if (!logical.IsInElrange(address)) return LeafResult.GeneralProtection;
        bool mapped = space.TryTranslate(address, access, out int page, out PageFaultError error);
        if (!mapped) return LeafResult.PageFault(address, error);
        if (!epcm.Contains(page)) return LeafResult.EpcmFault(address, write);
        if (!epcm.IsAccessible(page)) return LeafResult.EpcmFault(address, write);
        if (epcm.TypeOf(page) != PageType.PT_REG) return LeafResult.EpcmFault(address, write);
        if (epcm.EnclaveSecs(page) != logical.ActiveSecs) return LeafResult.EpcmFault(address, write);
        if (epcm.EnclaveAddress(page) != (address & ~PageMask)) return LeafResult.EpcmFault(address, write);
        if ((epcm.Permissions(page) & Needed(access)) == 0) return LeafResult.EpcmFault(address, write);

        bytes = processor.Frames.Frame(page).Slice((int)(address & PageMask), length);
        return LeafResult.Ok;
    }

    private static SecInfoFlags Needed(AccessKind access) => access == AccessKind.Write ? SecInfoFlags.W : SecInfoFlags.R;
}
