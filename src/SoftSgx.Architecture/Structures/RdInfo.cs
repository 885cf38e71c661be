using System.Runtime.InteropServices;

namespace SoftSgx.Architecture;

/// <summary>
/// RDINFO.STATUS.
/// SDM vol. 3D, "RDINFO status structure".
/// </summary>
[Flags]
public enum RdInfoStatus : ulong
{
    /// <summary>No child.</summary>
    None = 0,

    /// <summary>The page is a SECS and has children.</summary>
    CHLDPRESENT = 1UL << 0,

    /// <summary>The page is a SECS and has virtual children.</summary>
    VIRTCHLDPRESENT = 1UL << 1,
}

/// <summary>
/// RDINFO: what ERDINFO tells about an EPC page, 32 bytes, aligned to 32.
/// SDM vol. 3D, "Read information (RDINFO)".
/// </summary>
/// <remarks>
/// <code>
/// FLAGS   0 R | 1 W | 2 X | 3 PENDING | 4 MODIFIED | 5 PR | 7:6 reserved | 15:8 PAGE_TYPE | 62:16 reserved | 63 BLOCKED
/// </code>
/// </remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct RdInfo
{
    /// <summary>Size in bytes.</summary>
    public const int Size = 32;

    /// <summary>Bit 63 of <see cref="Flags"/>: the page is blocked. The other bits are those of SECINFO.FLAGS.</summary>
    public const SecInfoFlags Blocked = (SecInfoFlags)(1UL << 63);

    /// <summary>Offset 0, STATUS.</summary>
    public RdInfoStatus Status;

    /// <summary>Offset 8, FLAGS: permissions, state and type as in SECINFO, and <see cref="Blocked"/>.</summary>
    public SecInfoFlags Flags;

    /// <summary>Offset 16, ENCLAVECONTEXT: of the page's enclave; 0 for pages of none.</summary>
    public ulong EnclaveContext;

    /// <summary>Offset 24: not used.</summary>
    public Reserved8 Reserved;
}
