namespace SoftSgx.Images;

/// <summary>Part of an enclave's address range that building does not add pages to.</summary>
/// <param name="Offset">Offset of the first page in the enclave, in bytes.</param>
/// <param name="PageCount">Number of pages.</param>
/// <param name="Name">What it is: "guard", "heap that grows".</param>
/// <param name="Use">What its pages will be for, if it gets any.</param>
public sealed record AddressRange(ulong Offset, ulong PageCount, string Name, PageUse Use);
