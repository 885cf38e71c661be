using System.Runtime.InteropServices;

namespace SoftSgx.Architecture;

/// <summary>
/// TARGETINFO: the enclave that a report is made for, 512 bytes, aligned to 512.
/// SDM vol. 3D, "Report target info (TARGETINFO)".
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct TargetInfo
{
    /// <summary>Size in bytes.</summary>
    public const int Size = 512;

    /// <summary>Offset 0, MEASUREMENT: MRENCLAVE of the target.</summary>
    public Hash256 Measurement;

    /// <summary>Offset 32, ATTRIBUTES of the target.</summary>
    public SgxAttributes Attributes;

    /// <summary>Offset 48, CET_ATTRIBUTES of the target.</summary>
    public byte CetAttributes;

    /// <summary>Offset 49: must be zero.</summary>
    public Reserved1 Reserved1;

    /// <summary>Offset 50, CONFIGSVN of the target.</summary>
    public ushort ConfigSvn;

    /// <summary>Offset 52, MISCSELECT of the target.</summary>
    public MiscSelect MiscSelect;

    /// <summary>Offset 56: must be zero.</summary>
    public Reserved8 Reserved2;

    /// <summary>Offset 64, CONFIGID of the target.</summary>
    public Bytes64 ConfigId;

    /// <summary>Offset 128: must be zero.</summary>
    public Reserved384 Reserved3;
}
