using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// The processor package: EPC, EPCM, configuration and secrets, shared by all logical processors.
/// </summary>
/// <remarks>Thread-safe as the architecture is: leaves may run at the same time and conflict where the manual says so.</remarks>
public sealed class SgxProcessor
{
    private const int PageShift = 12;
    private const ulong VersionStep = 8;

    private readonly EnclaveState?[] _enclaves;
    private readonly ConcurrentDictionary<ulong, EnclaveState> _evictedUnfinished = new();
    private ulong _lastEnclaveId;
    private ulong _lastVersion;
    private readonly bool _withoutContents;
    private PageCipher _pageCipher;

    /// <summary>
    /// A processor with <paramref name="epcPages"/> EPC pages, whose contents <paramref name="frames"/> holds. Like every power-on it
    /// starts with a paging key that there was none like before.
    /// </summary>
    public SgxProcessor(ProcessorConfiguration configuration, PlatformSecrets secrets, int epcPages, IEpcFrames frames)
        : this(configuration, secrets, epcPages, frames, RandomNumberGenerator.GetBytes(Key128.Size))
    {
    }

    /// <summary>A processor whose paging key is known: for tests that work evicted pages out by hand.</summary>
    /// <param name="configuration">What it can do.</param>
    /// <param name="secrets">The platform's secrets.</param>
    /// <param name="epcPages">Number of EPC pages.</param>
    /// <param name="frames">Their contents.</param>
    /// <param name="pagingKey">
    /// CR_BASE_PK, 16 bytes. Never give two processors the same one outside of tests: both count versions from 1, so two pages
    /// would be encrypted under one key and nonce.
    /// </param>
    public SgxProcessor(
        ProcessorConfiguration configuration, PlatformSecrets secrets, int epcPages, IEpcFrames frames, ReadOnlySpan<byte> pagingKey)
        : this(configuration, secrets, epcPages, frames, pagingKey, withoutContents: false)
    {
    }

    private SgxProcessor(
        ProcessorConfiguration configuration,
        PlatformSecrets secrets,
        int epcPages,
        IEpcFrames frames,
        ReadOnlySpan<byte> pagingKey,
        bool withoutContents)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        ArgumentNullException.ThrowIfNull(secrets);
        ArgumentNullException.ThrowIfNull(frames);
        Configuration = configuration;
        Secrets = secrets;
        Frames = frames;
        Epcm = new Epcm(epcPages);
        _enclaves = new EnclaveState?[epcPages];
        _withoutContents = withoutContents;
        _pageCipher = NewCipher(pagingKey);
    }

    /// <summary>
    /// A processor for simulations of paging, whose enclave pages have no contents: EWB and the loads keep versions and check MACs
    /// as ever, but touch neither frame nor evicted page. SECS and VA pages have contents.
    /// </summary>
    /// <param name="configuration">What it can do.</param>
    /// <param name="secrets">The platform's secrets.</param>
    /// <param name="epcPages">Number of EPC pages.</param>
    /// <param name="frames">Their contents; enclave pages may all share one frame.</param>
    public static SgxProcessor WithoutContents(
        ProcessorConfiguration configuration, PlatformSecrets secrets, int epcPages, IEpcFrames frames) =>
        new(configuration, secrets, epcPages, frames, RandomNumberGenerator.GetBytes(Key128.Size), withoutContents: true);

    /// <summary>What the processor can do.</summary>
    public ProcessorConfiguration Configuration { get; }

    /// <summary>The platform's secrets.</summary>
    public PlatformSecrets Secrets { get; }

    /// <summary>The map of the EPC.</summary>
    public Epcm Epcm { get; }

    /// <summary>Contents of the EPC.</summary>
    public IEpcFrames Frames { get; }

    /// <summary>Encrypts and decrypts pages on their way out and in.</summary>
    internal PageCipher PageCipher => Volatile.Read(ref _pageCipher);

    /// <summary>
    /// Physical address of an EPC page: the sections of the configuration one behind the other. Without any, the EPC starts at 0.
    /// </summary>
    public ulong PhysicalAddress(int epcPage)
    {
        ulong offset = (ulong)(uint)epcPage << PageShift;
        foreach (EpcSection section in Configuration.EpcSections)
        {
            if (offset < section.Size)
            {
                return section.PhysicalBase + offset;
            }

            offset -= section.Size;
        }

        return offset;
    }

    /// <summary>The SECS in EPC page <paramref name="secsPage"/>, read in place.</summary>
    public ref readonly Secs SecsOf(int secsPage) => ref MemoryMarshal.AsRef<Secs>(Frames.Frame(secsPage));

    /// <summary>
    /// MRENCLAVE of an enclave as far as it has been built: what EINIT would compare with the SIGSTRUCT. Hardware tells nobody; this is
    /// for tools that measure without a signature.
    /// </summary>
    /// <param name="secsPage">EPC page of the enclave's SECS.</param>
    /// <param name="mrEnclave">The measurement, if the result is true.</param>
    /// <returns>False if there is no such enclave, it is initialised, or a leaf is measuring it right now.</returns>
    public bool TryGetMeasurement(int secsPage, out Hash256 mrEnclave)
    {
        mrEnclave = default;
        if (!Epcm.Contains(secsPage) || !Epcm.TryLockShared(secsPage)) return false;
        try
        {
            if (!Epcm.IsValid(secsPage) || Epcm.TypeOf(secsPage) != PageType.PT_SECS) return false;

            EnclaveState enclave = StateOf(secsPage);
            if (!enclave.TryBeginMeasuring()) return false;
            try
            {
                if (enclave.IsInitialized) return false;

                mrEnclave = enclave.Measurement.Current();
                return true;
            }
            finally
            {
                enclave.EndMeasuring();
            }
        }
        finally
        {
            Epcm.UnlockShared(secsPage);
        }
    }

    /// <summary>The SECS in EPC page <paramref name="secsPage"/>, for the leaves that change it.</summary>
    internal ref Secs WritableSecsOf(int secsPage) => ref MemoryMarshal.AsRef<Secs>(Frames.Frame(secsPage));

    /// <summary>The part of the SECS in EPC page <paramref name="secsPage"/> that is the processor's own.</summary>
    internal ref SecsPrivate PrivateSecsOf(int secsPage) =>
        ref MemoryMarshal.AsRef<SecsPrivate>(Frames.Frame(secsPage)[SecsPrivate.Offset..]);

    /// <summary>The TCS in EPC page <paramref name="tcsPage"/>.</summary>
    internal ref Tcs TcsOf(int tcsPage) => ref MemoryMarshal.AsRef<Tcs>(Frames.Frame(tcsPage));

    /// <summary>What the processor keeps of an enclave beyond its SECS.</summary>
    internal EnclaveState StateOf(int secsPage) => Volatile.Read(ref _enclaves[secsPage])!;

    /// <summary>The slot of a version array, for interlocked access. The caller shares the array's entry.</summary>
    internal ref ulong VersionSlot(int vaPage, int vaOffset) =>
        ref MemoryMarshal.Cast<byte, ulong>(Frames.Frame(vaPage))[vaOffset / VersionArray.SlotSize];

    /// <summary>
    /// A version that no page was evicted with before; never 0, which means an empty slot. The low three bits are none of it:
    /// SDM vol. 3D, EDBGRD (of a version array).
    /// </summary>
    internal ulong NextVersion() => Interlocked.Add(ref _lastVersion, VersionStep);

    /// <summary>Takes a new paging key. Nothing may be in the EPC; pages evicted before can never be loaded again.</summary>
    internal void RenewPagingKey()
    {
        Span<byte> key = stackalloc byte[Key128.Size];
        RandomNumberGenerator.Fill(key);
        Volatile.Write(ref _pageCipher, NewCipher(key));
    }

    /// <summary>Starts the state of a new enclave. The caller holds the SECS exclusively.</summary>
    internal EnclaveState CreateState(int secsPage, ulong baseAddress)
    {
#pragma warning disable CA2000 // The state owns the measurement and disposes it.
        EnclaveState state = new(Interlocked.Increment(ref _lastEnclaveId), baseAddress, new Measurement());
#pragma warning restore CA2000
        Volatile.Write(ref _enclaves[secsPage], state);
        return state;
    }

    /// <summary>
    /// The SECS has been evicted: nothing is left of an initialised enclave; a measurement under way waits here for its SECS, even
    /// if that is never loaded again. The caller holds the SECS exclusively.
    /// </summary>
    internal void EvictState(int secsPage)
    {
        EnclaveState state = StateOf(secsPage);
        if (!state.IsInitialized)
        {
            _evictedUnfinished[state.Id] = state;
        }

        Volatile.Write(ref _enclaves[secsPage], null);
    }

    /// <summary>The SECS has been loaded: the counterpart of <see cref="EvictState"/>. The caller holds the SECS exclusively.</summary>
    internal void LoadState(int secsPage)
    {
        ulong id = PrivateSecsOf(secsPage).Eid;
        if (!_evictedUnfinished.TryRemove(id, out EnclaveState? state))
        {
            state = new EnclaveState(id, SecsOf(secsPage).BaseAddress, measurement: null);
        }

        Volatile.Write(ref _enclaves[secsPage], state);
    }

    /// <summary>Forgets an enclave. The caller holds the SECS exclusively.</summary>
    internal void DropState(int secsPage)
    {
        _enclaves[secsPage]?.Dispose();
        Volatile.Write(ref _enclaves[secsPage], null);
    }

    private PageCipher NewCipher(ReadOnlySpan<byte> key) => _withoutContents ? new ContentlessPageCipher(key) : new GcmPageCipher(key);
}
