using SoftSgx.Architecture;

namespace SoftSgx.Kernel;

/// <summary>One page of an enclave as the kernel knows it.</summary>
/// <param name="Offset">Offset in bytes from the enclave's base.</param>
/// <param name="EpcPage">Index of the EPC page that holds it.</param>
/// <param name="Type">PT_REG or PT_TCS.</param>
/// <param name="Maximum">
/// The most that a mapping of the page may ask: the SECINFO permissions of a REG page; read and write for a TCS.
/// </param>
public readonly record struct EnclavePage(ulong Offset, int EpcPage, PageType Type, PageProtection Maximum);
