using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[EWB]: evicts a page.
/// SDM vol. 3D, EWB.
/// </summary>
public static class EWb
{
    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="destination">PAGEINFO.SRCPGE: where the encrypted page goes, 4,096 bytes.</param>
    /// <param name="pcmd">PAGEINFO.PCMD: what goes with it.</param>
    /// <param name="linearAddress">PAGEINFO.LINADDR; in: zero; out: the linear address of the page.</param>
    /// <param name="epcPage">RCX: the EPC page.</param>
    /// <param name="vaPage">RDX, upper part: the version array.</param>
    /// <param name="vaOffset">RDX, lower part: offset of the slot in bytes.</param>
    public static LeafResult Execute(SgxProcessor processor, Span<byte> destination, ref Pcmd pcmd, ref ulong linearAddress, int epcPage, int vaPage, int vaOffset)
    {
        return LeafResult.GeneralProtection;
    }
}
