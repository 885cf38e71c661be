namespace SoftSgx.Host.Paging;

/// <summary>A range of addresses as the ageing process reads it: two unsigned 64-bit words.</summary>
/// <param name="Start">First address.</param>
/// <param name="Length">Bytes.</param>
internal record struct AddressRange(ulong Start, ulong Length);
