using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// KEYDEPENDENCIES: everything that a derived key depends on, in the order in which it is authenticated.
/// SDM vol. 3D, EGETKEY (table "Key derivation" and TMP_KEYDEPENDENCIES).
/// </summary>
/// <remarks>The fields are the manual's; their order in memory is not architectural, and every platform keeps its own.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
internal struct KeyDependencies
{
    /// <summary>Which kind of key.</summary>
    public KeyName KeyName;

    /// <summary>ISVPRODID.</summary>
    public ushort IsvProdId;

    /// <summary>ISVSVN.</summary>
    public ushort IsvSvn;

    /// <summary>SGXOWNEREPOCH.</summary>
    public Bytes16 OwnerEpoch;

    /// <summary>ATTRIBUTES.</summary>
    public SgxAttributes Attributes;

    /// <summary>ATTRIBUTESMASK.</summary>
    public SgxAttributes AttributesMask;

    /// <summary>MRENCLAVE.</summary>
    public Hash256 MrEnclave;

    /// <summary>MRSIGNER.</summary>
    public Hash256 MrSigner;

    /// <summary>KEYID.</summary>
    public Bytes32 KeyId;

    /// <summary>SEAL_KEY_FUSES.</summary>
    public Bytes16 SealKeyFuses;

    /// <summary>CPUSVN.</summary>
    public Bytes16 CpuSvn;

    /// <summary>PADDING.</summary>
    public PaddingBytes Padding;

    /// <summary>MISCSELECT.</summary>
    public MiscSelect MiscSelect;

    /// <summary>MISCMASK.</summary>
    public MiscSelect MiscMask;

    /// <summary>KEYPOLICY.</summary>
    public KeyPolicy KeyPolicy;

    /// <summary>CONFIGID.</summary>
    public Bytes64 ConfigId;

    /// <summary>CONFIGSVN.</summary>
    public ushort ConfigSvn;

    /// <summary>ISVFAMILYID.</summary>
    public Bytes16 IsvFamilyId;

    /// <summary>ISVEXTPRODID.</summary>
    public Bytes16 IsvExtProdId;

    /// <summary>CET_ATTRIBUTES.</summary>
    public byte CetAttributes;

    /// <summary>CET_ATTRIBUTES_MASK.</summary>
    public byte CetAttributesMask;

    /// <summary>Dependencies on <paramref name="name"/> and on the constant padding; all else zero.</summary>
    public static KeyDependencies For(KeyName name)
    {
        KeyDependencies dependencies = default;
        dependencies.KeyName = name;
        Pkcs1Padding.BigEndian.CopyTo(dependencies.Padding);
        return dependencies;
    }

    /// <summary>352 bytes of padding.</summary>
    [System.Runtime.CompilerServices.InlineArray(Pkcs1Padding.Length)]
    public struct PaddingBytes
    {
#pragma warning disable IDE0044 // The one field of an inline array cannot be read-only.
        private byte _first;
#pragma warning restore IDE0044
    }
}
