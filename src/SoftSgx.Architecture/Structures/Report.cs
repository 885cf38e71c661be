using System.Runtime.InteropServices;

namespace SoftSgx.Architecture;

/// <summary>
/// The body of a REPORT: identity of the reporting enclave and its data, 384 bytes; the part that the MAC covers.
/// SDM vol. 3D, "Report (REPORT)".
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct ReportBody
{
    /// <summary>Size in bytes.</summary>
    public const int Size = 384;

    /// <summary>Offset 0, CPUSVN.</summary>
    public Bytes16 CpuSvn;

    /// <summary>Offset 16, MISCSELECT.</summary>
    public MiscSelect MiscSelect;

    /// <summary>Offset 20, CET_ATTRIBUTES.</summary>
    public byte CetAttributes;

    /// <summary>Offset 21: zero.</summary>
    public Reserved11 Reserved1;

    /// <summary>Offset 32, ISVEXTPRODID.</summary>
    public Bytes16 IsvExtProdId;

    /// <summary>Offset 48, ATTRIBUTES.</summary>
    public SgxAttributes Attributes;

    /// <summary>Offset 64, MRENCLAVE.</summary>
    public Hash256 MrEnclave;

    /// <summary>Offset 96: zero.</summary>
    public Reserved32 Reserved2;

    /// <summary>Offset 128, MRSIGNER.</summary>
    public Hash256 MrSigner;

    /// <summary>Offset 160: zero.</summary>
    public Reserved32 Reserved3;

    /// <summary>Offset 192, CONFIGID.</summary>
    public Bytes64 ConfigId;

    /// <summary>Offset 256, ISVPRODID.</summary>
    public ushort IsvProdId;

    /// <summary>Offset 258, ISVSVN.</summary>
    public ushort IsvSvn;

    /// <summary>Offset 260, CONFIGSVN.</summary>
    public ushort ConfigSvn;

    /// <summary>Offset 262: zero.</summary>
    public Reserved42 Reserved4;

    /// <summary>Offset 304, ISVFAMILYID.</summary>
    public Bytes16 IsvFamilyId;

    /// <summary>Offset 320, REPORTDATA: 64 bytes of the enclave's choice.</summary>
    public Bytes64 ReportData;
}

/// <summary>
/// REPORT: an enclave's identity, authenticated for another enclave on the same platform, 432 bytes, aligned to 512.
/// SDM vol. 3D, "Report (REPORT)".
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct Report
{
    /// <summary>Size in bytes.</summary>
    public const int Size = 432;

    /// <summary>Offset 0: what the MAC covers.</summary>
    public ReportBody Body;

    /// <summary>Offset 384, KEYID of the report key.</summary>
    public Bytes32 KeyId;

    /// <summary>Offset 416, MAC under the target's report key.</summary>
    public Key128 Mac;
}

/// <summary>
/// REPORTTYPE: what kind of environment a report speaks of, 4 bytes.
/// SDM vol. 3D, "REPORTMACSTRUCT" (REPORTTYPE).
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct ReportType
{
    /// <summary>Size in bytes.</summary>
    public const int Size = 4;

    /// <summary>Offset 0, TYPE: 0 for an SGX enclave, 0x81 for a trust domain.</summary>
    public byte Type;

    /// <summary>Offset 1, SUBTYPE.</summary>
    public byte SubType;

    /// <summary>Offset 2, VERSION.</summary>
    public byte Version;

    /// <summary>Offset 3: zero.</summary>
    public Reserved1 Reserved;
}
