namespace SoftSgx.Images;

/// <summary>The first operation in which two enclaves are built differently.</summary>
/// <param name="Operation">Its number, counted from 1 for ECREATE; as many are the same before it.</param>
/// <param name="Offset">Offset in the enclave of the page or the 256 bytes, in bytes; of the first enclave, if they differ in that.</param>
/// <param name="InFirst">What the first enclave does: "EADD 0x1000 reg r-x (code)"; "nothing more".</param>
/// <param name="InSecond">What the second does.</param>
/// <param name="Byte">The first byte that differs, if contents do.</param>
public sealed record FirstDifference(ulong Operation, ulong Offset, string InFirst, string InSecond, ByteDifference? Byte);

/// <summary>One byte that two enclaves have differently.</summary>
/// <param name="Offset">Offset in the enclave, in bytes.</param>
/// <param name="InFirst">What the first has there.</param>
/// <param name="InSecond">What the second has there.</param>
public sealed record ByteDifference(ulong Offset, byte InFirst, byte InSecond);
