namespace SoftSgx.Simulation;

/// <summary>One enclave of a generated trace and how it is used.</summary>
/// <param name="Enclave">The enclave.</param>
/// <param name="Pattern">The order of its accesses.</param>
public sealed record GeneratedEnclave(TraceEnclave Enclave, PatternSpec Pattern);

/// <summary>A trace that is made up while it is read, the same every time: seed and parameters fix it.</summary>
/// <remarks>Several enclaves take turns at random, equally often, as do the threads of one.</remarks>
public sealed class GeneratedTrace : Trace
{
    private readonly GeneratedEnclave[] _enclaves;
    private readonly long _accesses;
    private readonly ulong _seed;
    private readonly double _writes;

    /// <summary>Makes a trace.</summary>
    /// <param name="enclaves">The enclaves.</param>
    /// <param name="accesses">How many accesses.</param>
    /// <param name="seed">What chance starts from.</param>
    /// <param name="writes">Share of the accesses that are writes, 0 to 1.</param>
    /// <exception cref="ArgumentException">There are no or too many enclaves, or one is impossible.</exception>
    public GeneratedTrace(IReadOnlyList<GeneratedEnclave> enclaves, long accesses, ulong seed, double writes = 0.5)
    {
        ArgumentNullException.ThrowIfNull(enclaves);
        ArgumentOutOfRangeException.ThrowIfNegative(accesses);
        if (enclaves.Count is 0 or > MaximumEnclaves)
        {
            throw new ArgumentException($"a trace has 1 to {MaximumEnclaves} enclaves, not {enclaves.Count}", nameof(enclaves));
        }

        _enclaves = [.. enclaves];
        foreach (GeneratedEnclave enclave in _enclaves)
        {
            if (enclave.Enclave.Problem is { } problem)
            {
                throw new ArgumentException(problem, nameof(enclaves));
            }
        }

        _accesses = accesses;
        _seed = seed;
        _writes = writes;
        Enclaves = [.. _enclaves.Select(static enclave => enclave.Enclave)];
    }

    /// <inheritdoc/>
    public override IReadOnlyList<TraceEnclave> Enclaves { get; }

    /// <inheritdoc/>
    public override TraceReader Open() => new Reader(this);

    private sealed class Reader(GeneratedTrace trace) : TraceReader
    {
        private readonly AccessPattern[] _patterns =
            [.. trace._enclaves.Select(static enclave => enclave.Pattern.Create(enclave.Enclave.Pages))];

        private readonly int[] _threads = [.. trace._enclaves.Select(static enclave => enclave.Enclave.Threads)];
        private SplitMix64 _random = new(trace._seed);
        private long _done;

        public override double Fraction => trace._accesses == 0 ? 1 : (double)_done / trace._accesses;

        public override int Read(Span<TraceRun> runs)
        {
            int count = (int)Math.Min(runs.Length, trace._accesses - _done);
            for (int i = 0; i < count; i++)
            {
                int enclave = _patterns.Length == 1 ? 0 : _random.Below(_patterns.Length);
                ulong page = _patterns[enclave].NextPage(ref _random);
                int thread = _threads[enclave] == 1 ? 0 : _random.Below(_threads[enclave]);
                runs[i] = new TraceRun(page, 1, (ushort)enclave, (ushort)thread, _random.Chance(trace._writes));
            }

            _done += count;
            return count;
        }
    }
}
