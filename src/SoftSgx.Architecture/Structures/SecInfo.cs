using System.Runtime.InteropServices;

namespace SoftSgx.Architecture;

/// <summary>
/// SECINFO.FLAGS: permissions and state of a page; the page type stands in bits 15:8.
/// SDM vol. 3D, "SECINFO.FLAGS".
/// </summary>
[Flags]
public enum SecInfoFlags : ulong
{
    /// <summary>No permission; page type PT_SECS.</summary>
    None = 0,

    /// <summary>R: the enclave may read the page.</summary>
    R = 1UL << 0,

    /// <summary>W: the enclave may write the page.</summary>
    W = 1UL << 1,

    /// <summary>X: the enclave may execute the page.</summary>
    X = 1UL << 2,

    /// <summary>PENDING: added by EAUG and not yet accepted.</summary>
    PENDING = 1UL << 3,

    /// <summary>MODIFIED: its type was changed and not yet accepted.</summary>
    MODIFIED = 1UL << 4,

    /// <summary>PR: its permissions were restricted and not yet accepted.</summary>
    PR = 1UL << 5,

    /// <summary>All three permissions.</summary>
    RWX = R | W | X,

    /// <summary>Bits 15:8, the page type.</summary>
    PageTypeMask = 0xFF00,

    /// <summary>Bits that are reserved.</summary>
    ReservedMask = ~(RWX | PENDING | MODIFIED | PR | PageTypeMask),
}

/// <summary>
/// SECINFO: flags of an EPC page, 64 bytes, aligned to 64.
/// SDM vol. 3D, "Security information (SECINFO)".
/// </summary>
/// <remarks>
/// <code>
/// FLAGS   0 R | 1 W | 2 X | 3 PENDING | 4 MODIFIED | 5 PR | 7:6 reserved | 15:8 PAGE_TYPE | 63:16 reserved
/// </code>
/// </remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct SecInfo
{
    /// <summary>Size in bytes.</summary>
    public const int Size = 64;

    private const int PageTypeShift = 8;

    /// <summary>Offset 0: permissions, state and page type.</summary>
    public SecInfoFlags Flags;

    /// <summary>Offset 8: must be zero.</summary>
    public Reserved56 Reserved;

    /// <summary>A page of that type with those permissions.</summary>
    public static SecInfo For(PageType type, SecInfoFlags permissions) =>
        new() { Flags = permissions | (SecInfoFlags)((ulong)type << PageTypeShift) };

    /// <summary>Bits 15:8 of the flags.</summary>
    public readonly PageType PageType => (PageType)((ulong)(Flags & SecInfoFlags.PageTypeMask) >> PageTypeShift);

    /// <summary>R, W and X of the flags.</summary>
    public readonly SecInfoFlags Permissions => Flags & SecInfoFlags.RWX;

    /// <summary>True if W is set without R: no page can be written that cannot be read.</summary>
    public readonly bool IsWriteOnly => (Flags & (SecInfoFlags.R | SecInfoFlags.W)) == SecInfoFlags.W;

    /// <summary>True if no reserved bit of the flags and no reserved byte is set.</summary>
    public readonly bool IsReservedZero => (Flags & SecInfoFlags.ReservedMask) == 0 && Bytes.IsZero(in Reserved);
}
