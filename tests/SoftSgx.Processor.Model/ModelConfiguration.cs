using SoftSgx.Architecture;

namespace SoftSgx.Processor.Model;

/// <summary>What the modelled processor enumerates, and the secrets that its keys come from. Pure data.</summary>
public sealed record ModelConfiguration
{
    /// <summary>Number of EPC pages.</summary>
    public required int Pages { get; init; }

    /// <summary>The SGX2 leaves are there.</summary>
    public bool Sgx2 { get; init; }

    /// <summary>The leaves that report conflicts as errors are there.</summary>
    public bool Oversub { get; init; }

    /// <summary>EDECCSSA is there.</summary>
    public bool EDecCssa { get; init; }

    /// <summary>Settable ATTRIBUTES.</summary>
    public required AttributeFlags Attributes { get; init; }

    /// <summary>Settable XFRM.</summary>
    public required ulong Xfrm { get; init; }

    /// <summary>Settable MISCSELECT.</summary>
    public required MiscSelect Misc { get; init; }

    /// <summary>Largest enclave as a power of two of bytes, in 64-bit mode and outside of it.</summary>
    public required (int Mode64, int Other) SizeLog2 { get; init; }

    /// <summary>Bits of MXCSR that may be set.</summary>
    public required uint MxcsrMask { get; init; }

    /// <summary>Extended XSAVE components: number, offset and size in bytes.</summary>
    public required IReadOnlyList<(int Index, int Offset, int Size)> XsaveComponents { get; init; }

    /// <summary>First SECS.EID that ECREATE gives.</summary>
    public ulong FirstEid { get; init; } = 1;

    /// <summary>CR_CPUSVN.</summary>
    public required byte[] CpuSvn { get; init; }

    /// <summary>CR_SGXOWNEREPOCH.</summary>
    public required byte[] OwnerEpoch { get; init; }

    /// <summary>CR_SEAL_FUSES.</summary>
    public required byte[] SealFuses { get; init; }

    /// <summary>CR_REPORT_KEYID.</summary>
    public required byte[] ReportKeyId { get; init; }

    /// <summary>The key under which keys are derived.</summary>
    public required byte[] RootKey { get; init; }
}
