using System.Runtime.InteropServices;

namespace SoftSgx.Architecture;

/// <summary>
/// EINITTOKEN: the launch enclave's permission to initialise an enclave, 304 bytes, aligned to 512.
/// SDM vol. 3D, "EINIT token structure (EINITTOKEN)".
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct EInitToken
{
    /// <summary>Size in bytes.</summary>
    public const int Size = 304;

    /// <summary>Bytes that the MAC covers, from offset 0.</summary>
    public const int AuthenticatedLength = 192;

    /// <summary>Offset 0, VALID: bit 0 says that the token counts.</summary>
    public uint Valid;

    /// <summary>Offset 4: must be zero.</summary>
    public Reserved44 Reserved1;

    /// <summary>Offset 48, ATTRIBUTES of the enclave.</summary>
    public SgxAttributes Attributes;

    /// <summary>Offset 64, MRENCLAVE of the enclave.</summary>
    public Hash256 MrEnclave;

    /// <summary>Offset 96: must be zero.</summary>
    public Reserved32 Reserved2;

    /// <summary>Offset 128, MRSIGNER of the enclave.</summary>
    public Hash256 MrSigner;

    /// <summary>Offset 160: must be zero.</summary>
    public Reserved32 Reserved3;

    /// <summary>Offset 192, CPUSVNLE: CPUSVN of the launch enclave when it made the token.</summary>
    public Bytes16 CpuSvnLe;

    /// <summary>Offset 208, ISVPRODIDLE: ISVPRODID of the launch enclave.</summary>
    public ushort IsvProdIdLe;

    /// <summary>Offset 210, ISVSVNLE: ISVSVN of the launch enclave.</summary>
    public ushort IsvSvnLe;

    /// <summary>Offset 212: must be zero.</summary>
    public Reserved24 Reserved4;

    /// <summary>Offset 236, MASKEDMISCSELECTLE: MISCSELECT of the launch enclave, masked as its key request says.</summary>
    public MiscSelect MaskedMiscSelectLe;

    /// <summary>Offset 240, MASKEDATTRIBUTESLE: ATTRIBUTES of the launch enclave, masked as its key request says.</summary>
    public SgxAttributes MaskedAttributesLe;

    /// <summary>Offset 256, KEYID of the launch key.</summary>
    public Bytes32 KeyId;

    /// <summary>Offset 288, MAC under the launch key.</summary>
    public Key128 Mac;
}
