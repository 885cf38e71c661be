namespace SoftSgx.Host.Monitor;

/// <summary>What the monitor of an address space consists of, by offsets from its start, which is a multiple of 64 KiB.</summary>
/// <remarks>
/// <code>
/// 0x00000  thread records, 128 bytes each; the first one holds constants     readable and writable
/// 0x10000  TCS records, 128 bytes each, found by the TCS's address
/// 0x20000  one landing for each TCS record: RAX = CSSA, jump to the entry    readable and executable
/// 0x30000  what all sites share, then the sites' own code
/// 0x40000  in a traced run: one ring control for each thread record          readable and writable, in the first view only
/// 0x50000  then the rings of events, 16 KiB each
/// </code>
/// What lies below 0x40000 is reached relative to RIP, so several views of the same memory can be mapped, each near the code that jumps to it.
/// The lower sixteen bits of a record's address are the same in all views. The rings are reached by their addresses.
/// </remarks>
internal static class MonitorLayout
{
    internal const int Threads = 0, Tcss = 0x10000, Landings = 0x20000, Code = 0x30000, Size = 0x40000;

    /// <summary>Bytes that are writable in the program.</summary>
    internal const int DataSize = Landings;

    /// <summary>Alignment of every view.</summary>
    internal const ulong Alignment = 0x10000;

    internal const int RecordSize = 128, RecordCount = 0x10000 / RecordSize;

    /// <summary>Where in the first thread record the selector stands whose limit tells a thread its record.</summary>
    internal const int Selector = 0;

    /// <summary>Where in the first thread record the addresses of the ring controls and of the rings stand.</summary>
    internal const int RingControlsAddress = 8, RingsAddress = 16;

    /// <summary>Bytes of a ring: a power of two, as many events as fit.</summary>
    internal const int RingSize = 0x4000;

    internal const int RingControls = Size, Rings = RingControls + (RecordCount * RecordSize), TracedSize = Rings + (RecordCount * RingSize);
}
