using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>How a leaf function ended.</summary>
public enum LeafStatus : byte
{
    /// <summary>It did its work.</summary>
    Success,

    /// <summary>It returned an error code in RAX and set ZF, or CF where <see cref="LeafResult.Carry"/> says so.</summary>
    Error,

    /// <summary>It raised an exception and changed nothing.</summary>
    Fault,
}

/// <summary>The outcome of a leaf function: success, an error code or a fault.</summary>
public readonly struct LeafResult : IEquatable<LeafResult>
{
    private LeafResult(LeafStatus status, SgxError error, Fault fault, bool carry = false)
    {
        Status = status;
        Error = error;
        Fault = fault;
        Carry = carry;
    }

    /// <summary>Which of the three it is.</summary>
    public LeafStatus Status { get; }

    /// <summary>
    /// The error code; <see cref="SgxError.SGX_SUCCESS"/> unless <see cref="Status"/> is <see cref="LeafStatus.Error"/>.
    /// </summary>
    public SgxError Error { get; }

    /// <summary>The fault; default unless <see cref="Status"/> is <see cref="LeafStatus.Fault"/>.</summary>
    public Fault Fault { get; }

    /// <summary>True if the leaf tells of its error code by CF instead of ZF: information rather than failure.</summary>
    public bool Carry { get; }

    /// <summary>True if the leaf did its work.</summary>
    public bool IsSuccess => Status == LeafStatus.Success;

    /// <summary>Success.</summary>
    public static LeafResult Ok => default;

    /// <summary>The leaf returned <paramref name="error"/>.</summary>
    public static LeafResult FromError(SgxError error) => new(LeafStatus.Error, error, default);

    /// <summary>The leaf returned <paramref name="error"/> and set CF instead of ZF.</summary>
    public static LeafResult FromInformation(SgxError error) => new(LeafStatus.Error, error, default, carry: true);

    /// <summary>The leaf raised <paramref name="fault"/>.</summary>
    public static LeafResult FromFault(Fault fault) => new(LeafStatus.Fault, SgxError.SGX_SUCCESS, fault);

    /// <summary>The leaf raised #GP(0).</summary>
    internal static LeafResult GeneralProtection => FromFault(Fault.GeneralProtection());

    /// <summary>The processor has no such instruction: #UD.</summary>
    internal static LeafResult InvalidOpcode => FromFault(Fault.InvalidOpcode());

    /// <summary>The page tables refused an access: #PF.</summary>
    internal static LeafResult PageFault(ulong address, PageFaultError error) => FromFault(Fault.Page(address, error));

    /// <summary>The EPCM refused an access: #PF with the SGX bit.</summary>
    internal static LeafResult EpcmFault(ulong address, PageFaultError access) =>
        FromFault(Fault.Page(address, access | PageFaultError.Present | PageFaultError.User | PageFaultError.Sgx));

    /// <inheritdoc/>
    public bool Equals(LeafResult other) =>
        Status == other.Status && Error == other.Error && Fault == other.Fault && Carry == other.Carry;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is LeafResult other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Status, Error, Fault);

    /// <summary>"success", the error's name, or the fault.</summary>
    public override string ToString() => Status switch
    {
        LeafStatus.Success => "success",
        LeafStatus.Error => Error.ToString(),
        _ when Fault.Kind == ExceptionVector.PF => $"#PF(0x{Fault.ErrorCode:x}) at 0x{Fault.Address:x}",
        _ => $"#{Fault.Kind}({Fault.ErrorCode})",
    };

    /// <summary>Equality of all parts.</summary>
    public static bool operator ==(LeafResult left, LeafResult right) => left.Equals(right);

    /// <summary>Inequality of any part.</summary>
    public static bool operator !=(LeafResult left, LeafResult right) => !left.Equals(right);
}
