using SoftSgx.Kernel;

namespace SoftSgx.Host.Paging;

/// <summary>A range of addresses as the ageing process reads it: two unsigned 64-bit words.</summary>
/// <param name="Start">First address.</param>
/// <param name="Length">Bytes; of a range made by <see cref="Protected"/> with the protection in the bits that whole pages leave free.</param>
internal record struct AddressRange(ulong Start, ulong Length)
{
    /// <summary>A range of whole pages and the protection that it is to get.</summary>
    internal static AddressRange Protected(ulong start, ulong length, PageProtection protection) =>
        new(start, length | (ulong)(protection & PageProtection.Access));

    /// <summary>Of a range made by <see cref="Protected"/>: its protection.</summary>
    internal readonly PageProtection Protection => (PageProtection)Length & PageProtection.Access;

    /// <summary>Of a range made by <see cref="Protected"/>: the address behind it.</summary>
    internal readonly ulong End => Start + (Length & ~(ulong)PageProtection.Access);
}
