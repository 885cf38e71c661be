using SoftSgx.Architecture;

namespace SoftSgx.Kernel;

/// <summary>One page of an enclave as the kernel knows it: in the EPC, or swapped out.</summary>
/// <param name="Offset">Offset in bytes from the enclave's base.</param>
/// <param name="EpcPage">Index of the EPC page that holds it; −1 if it is swapped out.</param>
/// <param name="Type">PT_REG, PT_TCS, or PT_TRIM.</param>
/// <param name="Maximum">
/// The most that a mapping of the page may ask: the SECINFO permissions of a REG page; read and write for a TCS.
/// </param>
public readonly record struct EnclavePage(ulong Offset, int EpcPage, PageType Type, PageProtection Maximum)
{
    /// <summary>The page is in the EPC.</summary>
    public bool IsResident => EpcPage >= 0;

    /// <summary>The page is in the EPC and about to leave it: nobody may use it, and faults wait.</summary>
    public bool IsBeingReclaimed { get; init; }

    /// <summary>
    /// The contents are in a private frame and not in the enclave's inode, because the EPCM lets no program access the page: a TCS, one that
    /// is trimmed, or one that waits for EACCEPT.
    /// </summary>
    public bool IsPrivate { get; init; }

    /// <summary>The page came by EAUG: its contents are the enclave's own, and not measured.</summary>
    public bool IsAugmented { get; init; }

    /// <summary>The page is in an EPC page that suffered a memory failure: its contents are lost, and nobody reaches it.</summary>
    public bool IsLost { get; init; }

    /// <summary>Number of the version-array slot of a page that is swapped out, else −1.</summary>
    public int Slot { get; init; } = -1;

    /// <summary>What the EPCM allowed when the page left; meaningless for one that is in the EPC.</summary>
    public PageProtection SavedPermissions { get; init; }
}
