namespace SoftSgx.Architecture;

/// <summary>
/// An exception that an instruction raises: a value, never a .NET exception.
/// SDM vol. 3A, "Exception and interrupt reference".
/// </summary>
/// <param name="Vector">Vector number, see <see cref="ExceptionVector"/>.</param>
/// <param name="ErrorCode">Error code; 0 where the vector has none.</param>
/// <param name="Address">Linear address of a page fault; 0 for the others.</param>
public readonly record struct Fault(byte Vector, uint ErrorCode, ulong Address)
{
    /// <summary>The vector by its mnemonic.</summary>
    public ExceptionVector Kind => (ExceptionVector)Vector;

    /// <summary>#GP(0).</summary>
    public static Fault GeneralProtection() => new((byte)ExceptionVector.GP, 0, 0);

    /// <summary>#UD.</summary>
    public static Fault InvalidOpcode() => new((byte)ExceptionVector.UD, 0, 0);

    /// <summary>#PF at <paramref name="address"/> with <paramref name="error"/> as its error code.</summary>
    public static Fault Page(ulong address, PageFaultError error) => new((byte)ExceptionVector.PF, (uint)error, address);
}
