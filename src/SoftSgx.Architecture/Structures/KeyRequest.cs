using System.Runtime.InteropServices;

namespace SoftSgx.Architecture;

/// <summary>
/// KEYREQUEST.KEYNAME.
/// SDM vol. 3D, "Supported KEYNAME values".
/// </summary>
public enum KeyName : ushort
{
    /// <summary>Launch key: authenticates EINITTOKENs.</summary>
    EINITTOKEN_KEY = 0,

    /// <summary>Provisioning key: bound to the signer and the platform, not to its owner.</summary>
    PROVISION_KEY = 1,

    /// <summary>Provisioning seal key.</summary>
    PROVISION_SEAL_KEY = 2,

    /// <summary>Report key: authenticates reports made for this enclave.</summary>
    REPORT_KEY = 3,

    /// <summary>Seal key.</summary>
    SEAL_KEY = 4,
}

/// <summary>
/// KEYREQUEST.KEYPOLICY: what a seal key depends on.
/// SDM vol. 3D, "Layout of KEYPOLICY field".
/// </summary>
[Flags]
public enum KeyPolicy : ushort
{
    /// <summary>Neither identity.</summary>
    None = 0,

    /// <summary>The key depends on MRENCLAVE.</summary>
    MRENCLAVE = 1 << 0,

    /// <summary>The key depends on MRSIGNER.</summary>
    MRSIGNER = 1 << 1,

    /// <summary>The key does not depend on ISVPRODID.</summary>
    NOISVPRODID = 1 << 2,

    /// <summary>The key depends on CONFIGID and CONFIGSVN.</summary>
    CONFIGID = 1 << 3,

    /// <summary>The key depends on ISVFAMILYID.</summary>
    ISVFAMILYID = 1 << 4,

    /// <summary>The key depends on ISVEXTPRODID.</summary>
    ISVEXTPRODID = 1 << 5,

    /// <summary>The bits that only enclaves with the KSS attribute may use.</summary>
    KssMask = NOISVPRODID | CONFIGID | ISVFAMILYID | ISVEXTPRODID,

    /// <summary>Bits that must be zero.</summary>
    ReservedMask = 0xFFC0,
}

/// <summary>
/// KEYREQUEST: which key EGETKEY shall derive, 512 bytes, aligned to 512.
/// SDM vol. 3D, "Key request (KEYREQUEST)".
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct KeyRequest
{
    /// <summary>Size in bytes.</summary>
    public const int Size = 512;

    /// <summary>Offset 0, KEYNAME.</summary>
    public KeyName KeyName;

    /// <summary>Offset 2, KEYPOLICY.</summary>
    public KeyPolicy KeyPolicy;

    /// <summary>Offset 4, ISVSVN.</summary>
    public ushort IsvSvn;

    /// <summary>Offset 6, CET_ATTRIBUTES_MASK.</summary>
    public byte CetAttributesMask;

    /// <summary>Offset 7: must be zero.</summary>
    public Reserved1 Reserved1;

    /// <summary>Offset 8, CPUSVN.</summary>
    public Bytes16 CpuSvn;

    /// <summary>Offset 24, ATTRIBUTEMASK: which attributes the key depends on.</summary>
    public SgxAttributes AttributeMask;

    /// <summary>Offset 40, KEYID: wear-out protection.</summary>
    public Bytes32 KeyId;

    /// <summary>Offset 72, MISCMASK: which bits of MISCSELECT the key depends on.</summary>
    public MiscSelect MiscMask;

    /// <summary>Offset 76, CONFIGSVN.</summary>
    public ushort ConfigSvn;

    /// <summary>Offset 78: must be zero.</summary>
    public Reserved434 Reserved2;
}
