namespace SoftSgx.Kernel;

/// <summary>
/// What paging did, for one enclave or for all: one structure, filled in by the kernel and printed by whoever wants to know.
/// </summary>
/// <remarks>Counts are totals since the start unless said otherwise; times are in ticks of <see cref="System.Diagnostics.Stopwatch"/>.</remarks>
public record struct PagingCounters
{
    /// <summary>EPC pages held now: REG, TCS, SECS and version arrays.</summary>
    public long EpcPages;

    /// <summary>The most EPC pages held at any time.</summary>
    public long PeakEpcPages;

    /// <summary>Enclave pages that exist now, in the EPC or swapped out; without SECS and version arrays.</summary>
    public long EnclavePages;

    /// <summary>Page faults handled, whatever became of them.</summary>
    public long Faults;

    /// <summary>Pages loaded by ELDU, SECS pages not included.</summary>
    public long Loads;

    /// <summary>Pages evicted by EWB, SECS pages not included.</summary>
    public long Evictions;

    /// <summary>Pages whose Accessed state was tested and cleared.</summary>
    public long Ages;

    /// <summary>Of those, pages that had been accessed and therefore stayed.</summary>
    public long Young;

    /// <summary>ETRACKs executed.</summary>
    public long ETracks;

    /// <summary>Logical processors interrupted because a page was not tracked after ETRACK.</summary>
    public long Kicks;

    /// <summary>SECS pages evicted.</summary>
    public long SecsEvictions;

    /// <summary>SECS pages loaded.</summary>
    public long SecsLoads;

    /// <summary>Version-array pages held now.</summary>
    public long VaPages;

    /// <summary>Bytes of backing store held now: pages, SECS and PCMD pages.</summary>
    public long BackingBytes;

    /// <summary>The most bytes of backing store held at any time.</summary>
    public long PeakBackingBytes;

    /// <summary>Pages that could not be loaded: refused by ELDU, or lost to a memory failure.</summary>
    public long Failures;

    /// <summary>Time spent loading: ELDU, backing store, making the page visible.</summary>
    public long LoadTime;

    /// <summary>Time spent evicting: zapping, EBLOCK, ETRACK, EWB, backing store.</summary>
    public long EvictTime;

    /// <summary>Time spent ageing.</summary>
    public long AgeTime;

    /// <summary>Adds another's counters to these; peaks are added too, as if they had been at the same time.</summary>
    public void Add(in PagingCounters other)
    {
        EpcPages += other.EpcPages;
        PeakEpcPages += other.PeakEpcPages;
        EnclavePages += other.EnclavePages;
        Faults += other.Faults;
        Loads += other.Loads;
        Evictions += other.Evictions;
        Ages += other.Ages;
        Young += other.Young;
        ETracks += other.ETracks;
        Kicks += other.Kicks;
        SecsEvictions += other.SecsEvictions;
        SecsLoads += other.SecsLoads;
        VaPages += other.VaPages;
        BackingBytes += other.BackingBytes;
        PeakBackingBytes += other.PeakBackingBytes;
        Failures += other.Failures;
        LoadTime += other.LoadTime;
        EvictTime += other.EvictTime;
        AgeTime += other.AgeTime;
    }
}
