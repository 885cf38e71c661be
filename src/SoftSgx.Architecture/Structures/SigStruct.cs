using System.Runtime.InteropServices;

namespace SoftSgx.Architecture;

/// <summary>
/// SIGSTRUCT: the enclave's signature by its author, 1,808 bytes, aligned to 4,096.
/// SDM vol. 3D, "Enclave signature structure (SIGSTRUCT)".
/// </summary>
/// <remarks>
/// <code>
///    0 .. 128    header      signed
///  128 .. 900    modulus, exponent, signature
///  900 .. 1028   body        signed
/// 1028 .. 1808   reserved, q1, q2
/// </code>
/// Numbers of RSA are little-endian.
/// </remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct SigStruct
{
    /// <summary>Size in bytes.</summary>
    public const int Size = 1808;

    /// <summary>Offset 0, HEADER: <see cref="HeaderConstant"/>.</summary>
    public Bytes16 Header;

    /// <summary>Offset 16, VENDOR: 0x8086 for Intel, 0 for everyone else.</summary>
    public uint Vendor;

    /// <summary>Offset 20, DATE: build date, yyyymmdd in hexadecimal digits.</summary>
    public uint Date;

    /// <summary>Offset 24, HEADER2: <see cref="Header2Constant"/>.</summary>
    public Bytes16 Header2;

    /// <summary>Offset 40, SWDEFINED.</summary>
    public uint SwDefined;

    /// <summary>Offset 44: must be zero.</summary>
    public Reserved84 Reserved1;

    /// <summary>Offset 128, MODULUS.</summary>
    public Bytes384 Modulus;

    /// <summary>Offset 512, EXPONENT: 3.</summary>
    public uint Exponent;

    /// <summary>Offset 516, SIGNATURE over header and body.</summary>
    public Bytes384 Signature;

    /// <summary>Offset 900, MISCSELECT.</summary>
    public MiscSelect MiscSelect;

    /// <summary>Offset 904, MISCMASK.</summary>
    public MiscSelect MiscMask;

    /// <summary>Offset 908, CET_ATTRIBUTES.</summary>
    public byte CetAttributes;

    /// <summary>Offset 909, CET_ATTRIBUTES_MASK.</summary>
    public byte CetAttributesMask;

    /// <summary>Offset 910: must be zero.</summary>
    public Reserved2 Reserved2;

    /// <summary>Offset 912, ISVFAMILYID.</summary>
    public Bytes16 IsvFamilyId;

    /// <summary>Offset 928, ATTRIBUTES that the enclave must have where the mask says so.</summary>
    public SgxAttributes Attributes;

    /// <summary>Offset 944, ATTRIBUTEMASK.</summary>
    public SgxAttributes AttributeMask;

    /// <summary>Offset 960, ENCLAVEHASH: the MRENCLAVE that was signed.</summary>
    public Hash256 EnclaveHash;

    /// <summary>Offset 992: must be zero.</summary>
    public Reserved16 Reserved3;

    /// <summary>Offset 1008, ISVEXTPRODID.</summary>
    public Bytes16 IsvExtProdId;

    /// <summary>Offset 1024, ISVPRODID.</summary>
    public ushort IsvProdId;

    /// <summary>Offset 1026, ISVSVN.</summary>
    public ushort IsvSvn;

    /// <summary>Offset 1028: must be zero.</summary>
    public Reserved12 Reserved4;

    /// <summary>Offset 1040, Q1: the quotient of signature² by the modulus.</summary>
    public Bytes384 Q1;

    /// <summary>Offset 1424, Q2: the quotient of the remaining product by the modulus.</summary>
    public Bytes384 Q2;

    /// <summary>VENDOR of Intel.</summary>
    public const uint VendorIntel = 0x8086;

    /// <summary>The only exponent there is.</summary>
    public const uint RequiredExponent = 3;

    /// <summary>Length in bytes of the signed header, at offset 0.</summary>
    public const int SignedHeaderLength = 128;

    /// <summary>Offset in bytes of the signed body.</summary>
    public const int SignedBodyOffset = 900;

    /// <summary>Length in bytes of the signed body.</summary>
    public const int SignedBodyLength = 128;

    /// <summary>Value of HEADER.</summary>
    public static ReadOnlySpan<byte> HeaderConstant =>
        [0x06, 0x00, 0x00, 0x00, 0xE1, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00];

    /// <summary>Value of HEADER2.</summary>
    public static ReadOnlySpan<byte> Header2Constant =>
        [0x01, 0x01, 0x00, 0x00, 0x60, 0x00, 0x00, 0x00, 0x60, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00];
}
