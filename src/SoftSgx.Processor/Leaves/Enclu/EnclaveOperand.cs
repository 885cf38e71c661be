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
        bytes = default;

        if ((address & (alignment - 1)) != 0) return LeafResult.GeneralProtection;
        if (!logical.IsInElrange(address)) return LeafResult.GeneralProtection;
        LeafResult resolved = Resolve(processor, space, address, access, out int page);
        if (!resolved.IsSuccess) return resolved;
        if (!IsUsable(processor.Epcm, logical, page, address, access)) return Refuse(address, access);

        bytes = processor.Frames.Frame(page).Slice((int)(address & PageMask), length);
        return LeafResult.Ok;
    }

    /// <summary>Finds the EPC page that the page tables have at <paramref name="address"/>.</summary>
    public static LeafResult Resolve(
        SgxProcessor processor, ILinearAddressSpace space, ulong address, AccessKind access, out int page)
    {
        bool mapped = space.TryTranslate(address, access, out page, out PageFaultError error);
        if (!mapped) return LeafResult.PageFault(address, error);
        if (!processor.Epcm.Contains(page)) return Refuse(address, access);
        return LeafResult.Ok;
    }

    /// <summary>True if the EPCM lets the enclave that the logical processor is in use the page at that address.</summary>
    public static bool IsUsable(Epcm epcm, LogicalProcessor logical, int page, ulong address, AccessKind access)
    {
        if (!epcm.IsAccessible(page)) return false;
        if (epcm.TypeOf(page) != PageType.PT_REG) return false;
        if (epcm.EnclaveSecs(page) != logical.ActiveSecs) return false;
        if (epcm.EnclaveAddress(page) != (address & ~PageMask)) return false;
        return (epcm.Permissions(page) & Needed(access)) != 0;
    }

    /// <summary>The EPCM refuses the access: #PF.</summary>
    public static LeafResult Refuse(ulong address, AccessKind access) =>
        LeafResult.EpcmFault(address, access == AccessKind.Write ? PageFaultError.Write : PageFaultError.None);

    private static SecInfoFlags Needed(AccessKind access) => access == AccessKind.Write ? SecInfoFlags.W : SecInfoFlags.R;
}
