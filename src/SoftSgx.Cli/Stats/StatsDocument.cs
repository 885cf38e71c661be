using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Serialization;
using SoftSgx.Cli.Options;
using SoftSgx.Host.Statistics;
using SoftSgx.Kernel;

namespace SoftSgx.Cli.Stats;

/// <summary>The statistics of a run as JSON has them: sizes in bytes, times in seconds. docs/statistics.md says what each field is.</summary>
internal sealed record StatsDocument(
    int Version, double Seconds, StatsEpc Epc, StatsReclaim Reclaim, StatsCounters Total, IReadOnlyList<StatsEnclave> Enclaves)
{
    /// <summary>How threads entered and left enclaves.</summary>
    public required StatsTransitions Transitions { get; init; }

    /// <summary>What the policy refused; null if there was none.</summary>
    public StatsPolicy? Policy { get; init; }

    /// <summary>Raised when a field changes its meaning or goes; not when one is added.</summary>
    private const int CurrentVersion = 1;

    /// <summary>What JSON says of a run.</summary>
    internal static StatsDocument Of(RunStatistics run)
    {
        double seconds = run.Duration.TotalSeconds;
        return new StatsDocument(
            CurrentVersion,
            seconds,
            StatsEpc.Of(run.Epc, run.PoisonedPages),
            new StatsReclaim(PolicyNames.NameOf(run.Reclaim.Policy), run.Reclaim.Batch, run.Reclaim.LowPages, run.Reclaim.HighPages),
            StatsCounters.Of(run.Total, seconds),
            [.. run.Enclaves.Select(enclave => StatsEnclave.Of(enclave, seconds))])
        {
            Transitions = StatsTransitions.Of(run.Transitions, seconds),
            Policy = run.Policy is null ? null
                : new StatsPolicy(
                    run.Policy.IsEnforcing ? "enforcing" : "permissive",
                    run.Policy.Rules,
                    run.Policy.Total,
                    [.. run.Policy.Denials.Select(static denials => new StatsDenials(denials.Permission, denials.Count))]),
        };
    }
}

/// <summary><see cref="TransitionStatistics"/>, and rates over the whole run.</summary>
internal sealed record StatsTransitions(
    StatsEntries Entries, StatsExits Exits, long AsynchronousExits, long Resumes, long DirectResumes, long PatchedSites)
{
    internal static StatsTransitions Of(TransitionStatistics run, double seconds)
    {
        long entries = run.EntriesByVdso + run.EntriesBySite + run.TrappedEntries, exits = run.ExitsBySite + run.TrappedExits;
        return new StatsTransitions(
            new StatsEntries(run.EntriesByVdso, run.EntriesBySite, run.TrappedEntries, seconds > 0 ? entries / seconds : 0),
            new StatsExits(run.ExitsBySite, run.TrappedExits, seconds > 0 ? exits / seconds : 0),
            run.AsynchronousExits,
            run.Resumes,
            run.DirectResumes,
            run.PatchedSites);
    }
}

/// <summary>Entries by their way: through the vDSO and by patched ENCLUs without a trap, and by the supervisor.</summary>
internal sealed record StatsEntries(long Vdso, long Site, long Trap, double PerSecond)
{
    internal long Total => Vdso + Site + Trap;
}

/// <summary>Exits by EEXIT by their way.</summary>
internal sealed record StatsExits(long Site, long Trap, double PerSecond)
{
    internal long Total => Site + Trap;
}

/// <summary>The policy and what it denied; in permissive mode, what it would have.</summary>
internal sealed record StatsPolicy(string Mode, int Rules, long Denials, IReadOnlyList<StatsDenials> ByPermission);

/// <summary>How often a permission was denied.</summary>
internal sealed record StatsDenials(string Permission, long Count);

/// <summary>The EPC in force.</summary>
internal sealed record StatsEpc(long Bytes, int Pages, IReadOnlyList<StatsSection> Sections, IReadOnlyList<int> PoisonedPages)
{
    internal const int PageSize = 4096;

    internal static StatsEpc Of(EpcLayout layout, IReadOnlyList<int> poisoned) => new(
        (long)layout.Pages * PageSize,
        layout.Pages,
        [.. layout.Sections.Select(static range => new StatsSection(range.Node, range.FirstPage, range.Pages, (long)range.Pages * PageSize))],
        poisoned);
}

/// <summary>A section of the EPC.</summary>
internal sealed record StatsSection(int Node, int FirstPage, int Pages, long Bytes);

/// <summary>The reclaimer's settings in force.</summary>
internal sealed record StatsReclaim(string Policy, int Batch, int LowPages, int HighPages);

/// <summary>An enclave.</summary>
internal sealed record StatsEnclave(int Number, string Base, ulong Size, string MrEnclave, bool Ended, StatsCounters Counters)
{
    internal static StatsEnclave Of(EnclaveReport enclave, double seconds) => new(
        enclave.Number,
        string.Create(CultureInfo.InvariantCulture, $"0x{enclave.Base:x}"), // above 2^53 numbers of JSON lose digits in many readers
        enclave.Size,
        enclave.MrEnclave.ToString(),
        enclave.IsEnded,
        StatsCounters.Of(enclave.Counters, seconds));
}

/// <summary><see cref="PagingCounters"/> with its times in seconds, and rates over the whole run.</summary>
internal sealed record StatsCounters
{
    public required long EpcPages { get; init; }

    public required long PeakEpcPages { get; init; }

    public required long EnclavePages { get; init; }

    public required long Faults { get; init; }

    public required long Loads { get; init; }

    public required long Evictions { get; init; }

    public required long Ages { get; init; }

    public required long Young { get; init; }

    public required long Etracks { get; init; }

    public required long Kicks { get; init; }

    public required long SecsEvictions { get; init; }

    public required long SecsLoads { get; init; }

    public required long VaPages { get; init; }

    public required long BackingBytes { get; init; }

    public required long PeakBackingBytes { get; init; }

    public required long Failures { get; init; }

    public required double LoadSeconds { get; init; }

    public required double EvictSeconds { get; init; }

    public required double AgeSeconds { get; init; }

    public required double LoadsPerSecond { get; init; }

    public required double EvictionsPerSecond { get; init; }

    internal static StatsCounters Of(in PagingCounters counters, double seconds) => new()
    {
        EpcPages = counters.EpcPages,
        PeakEpcPages = counters.PeakEpcPages,
        EnclavePages = counters.EnclavePages,
        Faults = counters.Faults,
        Loads = counters.Loads,
        Evictions = counters.Evictions,
        Ages = counters.Ages,
        Young = counters.Young,
        Etracks = counters.ETracks,
        Kicks = counters.Kicks,
        SecsEvictions = counters.SecsEvictions,
        SecsLoads = counters.SecsLoads,
        VaPages = counters.VaPages,
        BackingBytes = counters.BackingBytes,
        PeakBackingBytes = counters.PeakBackingBytes,
        Failures = counters.Failures,
        LoadSeconds = Seconds(counters.LoadTime),
        EvictSeconds = Seconds(counters.EvictTime),
        AgeSeconds = Seconds(counters.AgeTime),
        LoadsPerSecond = seconds > 0 ? counters.Loads / seconds : 0,
        EvictionsPerSecond = seconds > 0 ? counters.Evictions / seconds : 0,
    };

    private static double Seconds(long ticks) => (double)ticks / Stopwatch.Frequency;
}

/// <summary>Writes and reads the document without reflection.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true)]
[JsonSerializable(typeof(StatsDocument))]
internal sealed partial class StatsJson : JsonSerializerContext;
