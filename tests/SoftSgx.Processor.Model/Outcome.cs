using SoftSgx.Architecture;

namespace SoftSgx.Processor.Model;

/// <summary>How a leaf ended: success, an error code in RAX, or a fault.</summary>
public readonly record struct Outcome(SgxError Error, Fault? Fault, bool Carry = false)
{
    private const PageFaultError Supervisor = PageFaultError.Present | PageFaultError.Write | PageFaultError.Sgx;
    private const PageFaultError Enclave = PageFaultError.Present | PageFaultError.User | PageFaultError.Sgx;

    /// <summary>Success.</summary>
    public static Outcome Ok => default;

    /// <summary>#GP(0).</summary>
    public static Outcome GP { get; } = new(SgxError.SGX_SUCCESS, Architecture.Fault.GeneralProtection());

    /// <summary>#UD.</summary>
    public static Outcome UD { get; } = new(SgxError.SGX_SUCCESS, Architecture.Fault.InvalidOpcode());

    /// <summary>True for success.</summary>
    public bool IsOk => Error == SgxError.SGX_SUCCESS && Fault is null;

    /// <summary>An error code, told by ZF.</summary>
    public static Outcome Of(SgxError error) => new(error, null);

    /// <summary>An error code, told by CF.</summary>
    public static Outcome Info(SgxError error) => new(error, null, Carry: true);

    /// <summary>#PF of ENCLS on an EPC page: the address is the page's offset in the EPC.</summary>
    public static Outcome PF(int epcPage) => PF((ulong)(uint)epcPage << 12, Supervisor);

    /// <summary>#PF of ENCLU, refused by the EPCM.</summary>
    public static Outcome EpcmPF(ulong address, bool write) => PF(address, Enclave | (write ? PageFaultError.Write : 0));

    /// <summary>#PF with that error code.</summary>
    public static Outcome PF(ulong address, PageFaultError error) => new(SgxError.SGX_SUCCESS, Architecture.Fault.Page(address, error));

    /// <inheritdoc/>
    public override string ToString() =>
        Fault is { } fault ? $"#{fault.Kind}({fault.ErrorCode:x}) at {fault.Address:x}" : Error + (Carry ? " (CF)" : "");
}
