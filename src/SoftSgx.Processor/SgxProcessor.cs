using System.Runtime.InteropServices;
using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// The processor package: EPC, EPCM, configuration and secrets, shared by all logical processors.
/// </summary>
/// <remarks>Thread-safe as the architecture is: leaves may run at the same time and conflict where the manual says so.</remarks>
public sealed class SgxProcessor
{
    private readonly EnclaveState?[] _enclaves;
    private long _nextEnclaveId;

    /// <summary>A processor with <paramref name="epcPages"/> EPC pages, whose contents <paramref name="frames"/> holds.</summary>
    public SgxProcessor(ProcessorConfiguration configuration, PlatformSecrets secrets, int epcPages, IEpcFrames frames)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        ArgumentNullException.ThrowIfNull(secrets);
        ArgumentNullException.ThrowIfNull(frames);
        Configuration = configuration;
        Secrets = secrets;
        Frames = frames;
        Epcm = new Epcm(epcPages);
        _enclaves = new EnclaveState?[epcPages];
    }

    /// <summary>What the processor can do.</summary>
    public ProcessorConfiguration Configuration { get; }

    /// <summary>The platform's secrets.</summary>
    public PlatformSecrets Secrets { get; }

    /// <summary>The map of the EPC.</summary>
    public Epcm Epcm { get; }

    /// <summary>Contents of the EPC.</summary>
    public IEpcFrames Frames { get; }

    /// <summary>The SECS in EPC page <paramref name="secsPage"/>, read in place.</summary>
    public ref readonly Secs SecsOf(int secsPage) => ref MemoryMarshal.AsRef<Secs>(Frames.Frame(secsPage));

    /// <summary>The SECS in EPC page <paramref name="secsPage"/>, for the leaves that change it.</summary>
    internal ref Secs WritableSecsOf(int secsPage) => ref MemoryMarshal.AsRef<Secs>(Frames.Frame(secsPage));

    /// <summary>The part of the SECS in EPC page <paramref name="secsPage"/> that is the processor's own.</summary>
    internal ref SecsPrivate PrivateSecsOf(int secsPage) =>
        ref MemoryMarshal.AsRef<SecsPrivate>(Frames.Frame(secsPage)[SecsPrivate.Offset..]);

    /// <summary>The TCS in EPC page <paramref name="tcsPage"/>.</summary>
    internal ref Tcs TcsOf(int tcsPage) => ref MemoryMarshal.AsRef<Tcs>(Frames.Frame(tcsPage));

    /// <summary>What the processor keeps of an enclave beyond its SECS.</summary>
    internal EnclaveState StateOf(int secsPage) => Volatile.Read(ref _enclaves[secsPage])!;

    /// <summary>Starts the state of a new enclave. The caller holds the SECS exclusively.</summary>
    internal EnclaveState CreateState(int secsPage, ulong baseAddress)
    {
        EnclaveState state = new((ulong)Interlocked.Increment(ref _nextEnclaveId), baseAddress);
        Volatile.Write(ref _enclaves[secsPage], state);
        return state;
    }

    /// <summary>Forgets an enclave. The caller holds the SECS exclusively.</summary>
    internal void DropState(int secsPage)
    {
        _enclaves[secsPage]?.Dispose();
        Volatile.Write(ref _enclaves[secsPage], null);
    }
}
