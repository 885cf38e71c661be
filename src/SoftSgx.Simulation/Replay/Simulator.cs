using System.Diagnostics;
using SoftSgx.Kernel;

namespace SoftSgx.Simulation;

/// <summary>
/// Runs a trace on a machine without contents: the kernel's own reclaimer, fault handler and version arrays, at some millions of
/// accesses a second. The result depends on trace and options alone.
/// </summary>
/// <remarks>
/// An enclave's pages come into being when they are touched first, as a kernel's EAUG would add them. The threads of an enclave share
/// one address space, so which of them makes an access changes nothing. ksgxd works at once when it is woken.
/// </remarks>
public sealed class Simulator : IDisposable
{
    private const int BatchRuns = 1024;

    private readonly SimulationOptions _options;
    private readonly SimulatedMachine _machine;
    private readonly SimulatedEnclave[] _enclaves;
    private readonly SimulatedAddressSpace[] _spaces;
    private readonly List<SimulationInterval> _intervals = [];
    private long _accesses;
    private long _firstTouches;
    private long _faults;
    private long _nextInterval;
    private SimulationInterval _last;
    private long _elapsed;

    /// <summary>Makes a machine with the enclaves of a trace; none of them has pages yet.</summary>
    /// <param name="enclaves">The enclaves.</param>
    /// <param name="options">What they run on.</param>
    /// <exception cref="SimulationException">The EPC is too small for them.</exception>
    public Simulator(IReadOnlyList<TraceEnclave> enclaves, SimulationOptions options)
    {
        ArgumentNullException.ThrowIfNull(enclaves);
        ArgumentNullException.ThrowIfNull(options);
        _options = options;
        _machine = new SimulatedMachine(new SimulatedMachineOptions
        {
            EpcPages = options.EpcPages,
            WithContents = false,
            Reclaim = options.Reclaim,
        });
        _nextInterval = options.Interval > 0 ? options.Interval : long.MaxValue;
        try
        {
            _enclaves = [.. enclaves.Select(enclave => _machine.CreateEnclave(enclave.Size))];
        }
        catch (InvalidOperationException e)
        {
            throw new SimulationException(
                $"an EPC of {options.EpcPages} pages is too small for {enclaves.Count} enclaves, which need at least two pages each", e);
        }

        _spaces = [.. _enclaves.Select(static enclave => enclave.AddressSpace)];
    }

    /// <summary>The machine.</summary>
    public SimulatedMachine Machine => _machine;

    /// <summary>Runs a whole trace.</summary>
    /// <param name="trace">The trace.</param>
    /// <param name="options">What it runs on.</param>
    /// <param name="progress">Told how much is done, from 0 to 1, some times a second.</param>
    /// <param name="cancellation">Ends the run early.</param>
    /// <exception cref="SimulationException">The EPC is too small.</exception>
    /// <exception cref="OperationCanceledException">It was ended early.</exception>
    public static SimulationResult Run(
        Trace trace, SimulationOptions options, Action<double>? progress = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(trace);
        using Simulator simulator = new(trace.Enclaves, options);
        using TraceReader reader = trace.Open();
        TraceRun[] runs = new TraceRun[BatchRuns];
        while (reader.Read(runs) is var count and > 0)
        {
            simulator.Access(runs.AsSpan(0, count));
            progress?.Invoke(reader.Fraction);
            cancellation.ThrowIfCancellationRequested();
        }

        return simulator.Result();
    }

    /// <summary>Runs the same trace with each of several policies on each of several EPC sizes.</summary>
    /// <param name="trace">The trace.</param>
    /// <param name="epcPages">The sizes.</param>
    /// <param name="policies">The policies.</param>
    /// <param name="options">Everything else.</param>
    /// <param name="progress">Told how much of all of it is done, from 0 to 1.</param>
    /// <param name="cancellation">Ends the runs early.</param>
    /// <returns>A result for each size, and within it for each policy.</returns>
    public static IReadOnlyList<SimulationResult> Compare(
        Trace trace,
        IReadOnlyList<int> epcPages,
        IReadOnlyList<ReplacementPolicyKind> policies,
        SimulationOptions options,
        Action<double>? progress = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(epcPages);
        ArgumentNullException.ThrowIfNull(policies);
        ArgumentNullException.ThrowIfNull(options);
        List<SimulationResult> results = [];
        double all = epcPages.Count * policies.Count;
        foreach (int pages in epcPages)
        {
            foreach (ReplacementPolicyKind policy in policies)
            {
                SimulationOptions one = options with { EpcPages = pages, Reclaim = options.Reclaim with { Policy = policy } };
                int done = results.Count;
                results.Add(Run(trace, one, progress is null ? null : part => progress((done + part) / all), cancellation));
            }
        }

        return results;
    }

    /// <summary>Makes the accesses of some runs.</summary>
    /// <param name="runs">The runs.</param>
    /// <exception cref="SimulationException">The EPC is too small.</exception>
    public void Access(ReadOnlySpan<TraceRun> runs)
    {
        long start = Stopwatch.GetTimestamp();
        foreach (ref readonly TraceRun run in runs)
        {
            SimulatedAddressSpace space = _spaces[run.Enclave];
            for (ulong page = run.Page; page < run.Page + run.Length; page++)
            {
                if (!space.Touch(page))
                {
                    Miss(run.Enclave, page);
                }

                if (++_accesses == _nextInterval)
                {
                    EndInterval();
                }
            }
        }

        _elapsed += Stopwatch.GetTimestamp() - start;
    }

    /// <summary>What came of it so far.</summary>
    public SimulationResult Result()
    {
        if (_options.Interval > 0 && _last.Accesses != _accesses)
        {
            EndInterval();
        }

        return new SimulationResult
        {
            Options = _options,
            Accesses = _accesses,
            FirstTouches = _firstTouches,
            Faults = _faults,
            Counters = _machine.Kernel.Counters,
            Intervals = [.. _intervals],
            Elapsed = Stopwatch.GetElapsedTime(0, _elapsed),
        };
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (SimulatedEnclave enclave in _enclaves)
        {
            enclave.Release();
        }

        _machine.Dispose();
    }

    private void Miss(int enclave, ulong page)
    {
        FaultOutcome outcome = _spaces[enclave].TouchAfterFault(page);
        if (outcome == FaultOutcome.Present)
        {
            _faults++;
        }
        else if (outcome == FaultOutcome.Absent && _enclaves[enclave].AddPageOnTouch(page) == Errno.None)
        {
            _firstTouches++;
            outcome = _spaces[enclave].TouchAfterFault(page);
        }

        if (outcome != FaultOutcome.Present)
        {
            PagingCounters counters = _machine.Kernel.Counters;
            throw new SimulationException(
                $"an EPC of {_options.EpcPages} pages is too small: {counters.VaPages} of them are version arrays of "
                + $"{counters.EnclavePages} enclave pages, and nothing can be reclaimed");
        }

        _machine.Balance();
    }

    private void EndInterval()
    {
        long evictions = _machine.Kernel.Counters.Evictions;
        SimulationInterval now = new(_accesses, _firstTouches, _faults, evictions);
        _intervals.Add(new SimulationInterval(
            _accesses,
            _firstTouches - _last.FirstTouches,
            _faults - _last.Faults,
            evictions - _last.Evictions));
        _last = now;
        _nextInterval = _accesses + _options.Interval;
    }
}
