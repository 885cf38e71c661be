using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// ENCLS[ELDBC]: loads an evicted page.
/// SDM vol. 3D, ELDBC.
/// </summary>
public static class ELdbc
{
    /// <summary>Executes the leaf.</summary>
    /// <param name="processor">The package.</param>
    /// <param name="source">PAGEINFO.SRCPGE: the encrypted page, 4,096 bytes.</param>
    /// <param name="pcmd">PAGEINFO.PCMD: what went with it.</param>
    /// <param name="linearAddress">PAGEINFO.LINADDR.</param>
    /// <param name="secsPage">PAGEINFO.SECS: EPC page of the enclave's SECS.</param>
    /// <param name="epcPage">RCX: the EPC page.</param>
    /// <param name="vaPage">RDX, upper part: the version array.</param>
    /// <param name="vaOffset">RDX, lower part: offset of the slot in bytes.</param>
    public static LeafResult Execute(SgxProcessor processor, ReadOnlySpan<byte> source, in Pcmd pcmd, ulong linearAddress, int secsPage, int epcPage, int vaPage, int vaOffset)
    {
        return LeafResult.GeneralProtection;
    }
}
