using System.Runtime.InteropServices;

namespace SoftSgx.Architecture;

/// <summary>
/// SECS: the control structure of an enclave, one EPC page.
/// SDM vol. 3D, "SGX enclave control structure (SECS)".
/// </summary>
[StructLayout(LayoutKind.Sequential, Pack = 1)]
public struct Secs
{
    /// <summary>Size in bytes.</summary>
    public const int Size = 4096;

    /// <summary>Offset 0, SIZE: bytes of the enclave's address range, a power of two.</summary>
    public ulong EnclaveSize;

    /// <summary>Offset 8, BASEADDR: linear address of the range, a multiple of its size.</summary>
    public ulong BaseAddress;

    /// <summary>Offset 16, SSAFRAMESIZE: pages of one SSA frame.</summary>
    public uint SsaFrameSize;

    /// <summary>Offset 20, MISCSELECT.</summary>
    public MiscSelect MiscSelect;

    /// <summary>Offset 24, CET_LEG_BITMAP_OFFSET.</summary>
    public ulong CetLegacyBitmapOffset;

    /// <summary>Offset 32, CET_ATTRIBUTES.</summary>
    public byte CetAttributes;

    /// <summary>Offset 33.</summary>
    public Reserved15 Reserved1;

    /// <summary>Offset 48, ATTRIBUTES.</summary>
    public SgxAttributes Attributes;

    /// <summary>Offset 64, MRENCLAVE.</summary>
    public Hash256 MrEnclave;

    /// <summary>Offset 96.</summary>
    public Reserved32 Reserved2;

    /// <summary>Offset 128, MRSIGNER.</summary>
    public Hash256 MrSigner;

    /// <summary>Offset 160.</summary>
    public Reserved32 Reserved3;

    /// <summary>Offset 192, CONFIGID.</summary>
    public Bytes64 ConfigId;

    /// <summary>Offset 256, ISVPRODID.</summary>
    public ushort IsvProdId;

    /// <summary>Offset 258, ISVSVN.</summary>
    public ushort IsvSvn;

    /// <summary>Offset 260, CONFIGSVN.</summary>
    public ushort ConfigSvn;

    /// <summary>Offset 262: must be zero at ECREATE; afterwards the processor keeps its own state of the enclave here.</summary>
    public Reserved3834 Reserved4;
}
