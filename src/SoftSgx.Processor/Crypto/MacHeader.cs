using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// MACHEADER: what is authenticated with the contents of an evicted page, 128 bytes.
/// SDM vol. 3D, EWB and ELDU (TMP_HEADER).
/// </summary>
/// <remarks>
/// The fields are the manual's. Their order is not architectural, because the header never leaves the processor; it is that of PCMD,
/// with the linear address where PCMD has the MAC.
/// </remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct MacHeader
{
    /// <summary>Offset 0, SECINFO: type, permissions and state of the page.</summary>
    public SecInfo SecInfo;

    /// <summary>Offset 64, EID of the page's enclave; 0 for SECS and VA pages.</summary>
    public ulong Eid;

    /// <summary>Offset 72, RSVD: the reserved bytes of PCMD, which EWB writes as zero.</summary>
    public Reserved40 Reserved;

    /// <summary>Offset 112, LINADDR.</summary>
    public ulong LinAddr;

    /// <summary>Offset 120: zero.</summary>
    public ulong Zero;
}
