namespace SoftSgx.Simulation;

/// <summary>The binary format of traces: about one byte for an access to the next page, four for a jump.</summary>
/// <remarks>
/// All numbers are little-endian; "n" is LEB128: seven bits a byte, the lowest first, bit 7 set on all but the last.
/// <code>
/// header    magic "SGXTRACE" 8 | version 1: 2 | number of enclaves 2 | zero 4
/// enclave   pages 8 | threads 4 | zero 4                                          as many as there are
/// run       head 1 | [enclave n] | [thread n] | [length − 2: n] | [delta n]
/// end       0x80 | accesses n                                                     nothing follows
///
/// head      0 write | 1 enclave follows | 2 thread follows | 3 length follows | 6:4 delta, 7: it follows | 7 end
/// </code>
/// What does not follow is as before; without a length the run is one page. Delta is the distance of the first page from the page
/// behind the last run of that enclave (from page 0 at first), as zigzag: 0, −1, 1, −2, 2 … are 0, 1, 2, 3, 4 …
/// </remarks>
internal static class BinaryTrace
{
    public const int Version = 1;
    public const int VersionOffset = 8;
    public const int CountOffset = 10;
    public const int ReservedOffset = 12;
    public const int HeaderLength = 16;
    public const int EnclaveLength = 16;

    public const int IsWrite = 1 << 0;
    public const int HasEnclave = 1 << 1;
    public const int HasThread = 1 << 2;
    public const int HasLength = 1 << 3;
    public const int DeltaShift = 4;
    public const ulong LongDelta = 7;
    public const int End = 1 << 7;

    public static ReadOnlySpan<byte> Magic => "SGXTRACE"u8;

    public static ulong ToZigZag(ulong difference) => (difference << 1) ^ (ulong)((long)difference >> 63);

    public static ulong FromZigZag(ulong value) => (value >> 1) ^ (0 - (value & 1));
}
