using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// What SGX adds to one logical processor: the registers that remember an entry into an enclave, and the launch-control MSRs.
/// SDM vol. 3D, "Enclave mode and control registers" (the CR_ registers of the instruction reference).
/// </summary>
/// <remarks>Belongs to one thread at a time; only <see cref="SgxProcessor"/> is shared.</remarks>
public sealed class LogicalProcessor
{
    private int[] _xsavePages = new int[2];
    private int[] _stagedXsavePages = new int[2];
    private int _xsavePageCount;
    private int _stagedXsavePageCount;
    private byte[] _xsaveScratch = [];

    /// <summary>CR_ENCLAVE_MODE: the processor executes inside an enclave.</summary>
    public bool InEnclave { get; internal set; }

    /// <summary>CR_ELRANGE: base address of the enclave that the processor is in.</summary>
    public ulong EnclaveBase { get; internal set; }

    /// <summary>CR_ELRANGE: size in bytes of the enclave that the processor is in.</summary>
    public ulong EnclaveSize { get; internal set; }

    /// <summary>CR_ACTIVE_SECS: EPC page of the SECS; -1 outside.</summary>
    public int ActiveSecs { get; internal set; } = -1;

    /// <summary>CR_TCS_PA: EPC page of the TCS; -1 outside.</summary>
    public int ActiveTcs { get; internal set; } = -1;

    /// <summary>CR_TCS_LA: linear address of the TCS.</summary>
    public ulong TcsAddress { get; internal set; }

    /// <summary>Asynchronous exit pointer of the entry, as in the TCS.</summary>
    public ulong Aep { get; internal set; }

    /// <summary>CR_GPR_PA: EPC page at the end of which GPRSGX of the current SSA frame lies.</summary>
    public int GprPage { get; private set; } = -1;

    /// <summary>CR_XSAVE_PAGE_n: EPC pages of the XSAVE area of the current SSA frame.</summary>
    public ReadOnlySpan<int> XsavePages => _xsavePages.AsSpan(0, _xsavePageCount);

    /// <summary>CR_DBGOPTIN: debug features stay on inside the enclave.</summary>
    public bool DebugOptIn { get; internal set; }

    /// <summary>The last entry was an ERESUME that AEX-Notify turned into one by the entry point.</summary>
    public bool IsNotified { get; internal set; }

    /// <summary>CR_SAVE_FS: base of FS outside.</summary>
    public ulong SavedFsBase { get; internal set; }

    /// <summary>CR_SAVE_GS: base of GS outside.</summary>
    public ulong SavedGsBase { get; internal set; }

    /// <summary>CR_SAVE_TF: RFLAGS.TF outside, kept while an opt-out entry has it cleared.</summary>
    public bool SavedTrapFlag { get; internal set; }

    /// <summary>The epoch of the enclave in which the processor entered it.</summary>
    internal uint EntryEpoch { get; set; }

    /// <summary>IA32_SGXLEPUBKEYHASH0 to 3: SHA-256 of the modulus that signs launch enclaves. Starts as Intel's.</summary>
    public Hash256 LePubKeyHash { get; set; } = Hash256.From(IntelPubKeyHash);

    /// <summary>SHA-256 of the modulus that Intel signs its enclaves with: the reset value of the MSRs.</summary>
    public static ReadOnlySpan<byte> IntelPubKeyHash =>
    [
        0xac, 0xb7, 0x70, 0x12, 0x05, 0x3e, 0x05, 0xa6, 0x3d, 0x41, 0x3b, 0x8b, 0xba, 0xe8, 0xfb, 0x6c,
        0x5d, 0x73, 0xb3, 0xf2, 0x99, 0x6d, 0x91, 0xc4, 0x3b, 0xbb, 0xf9, 0x09, 0x59, 0xc0, 0xf8, 0xd4,
    ];

    /// <summary>
    /// WRMSR to IA32_SGXLEPUBKEYHASH0 to 3, all four at once.
    /// SDM vol. 3D, "Launch control configuration"; SDM vol. 4, IA32_FEATURE_CONTROL (SGX launch control enable).
    /// </summary>
    /// <returns>Success, or #GP(0) where the processor has launch control locked.</returns>
    public LeafResult WriteLePubKeyHash(ProcessorConfiguration configuration, in Hash256 hash)
    {
        ArgumentNullException.ThrowIfNull(configuration);

        if (!configuration.LaunchControlWritable) return LeafResult.GeneralProtection;
        LePubKeyHash = hash;
        return LeafResult.Ok;
    }

    /// <summary>True if <paramref name="address"/> lies in the address range of the enclave that the processor is in.</summary>
    public bool IsInElrange(ulong address) => InEnclave && address - EnclaveBase < EnclaveSize;

    /// <summary>
    /// True if the processor is inside an enclave and reaches <paramref name="epcPage"/> by its physical address: TCS or SSA frame.
    /// </summary>
    public bool Holds(int epcPage) =>
        InEnclave && (ActiveTcs == epcPage || GprPage == epcPage || XsavePages.Contains(epcPage));

    /// <summary>
    /// An interrupt that nobody needs to see: an asynchronous exit and at once the ERESUME after it, which leave the thread as it was.
    /// What remains is that the thread has been out: it belongs to the present epoch of its enclave from now on. Does nothing
    /// outside of enclaves.
    /// </summary>
    /// <param name="processor">The package.</param>
    public void Interrupt(SgxProcessor processor)
    {
        ArgumentNullException.ThrowIfNull(processor);
        if (!InEnclave) return;

        EnclaveState enclave = processor.StateOf(ActiveSecs);
        uint epoch = enclave.ThreadEnters();
        enclave.ThreadLeaves(EntryEpoch);
        EntryEpoch = epoch;
    }

    /// <summary>
    /// Room for the <paramref name="count"/> pages of an SSA frame that is being checked; <see cref="UseSsaFrame"/> takes it into use.
    /// </summary>
    internal Span<int> StageXsavePages(int count)
    {
        if (count > _stagedXsavePages.Length)
        {
            _stagedXsavePages = new int[count];
        }

        _stagedXsavePageCount = count;
        return _stagedXsavePages.AsSpan(0, count);
    }

    /// <summary>The SSA frame that was checked last becomes the current one.</summary>
    internal void UseSsaFrame(int gprPage)
    {
        (_xsavePages, _stagedXsavePages) = (_stagedXsavePages, _xsavePages);
        _xsavePageCount = _stagedXsavePageCount;
        GprPage = gprPage;
    }

    /// <summary>A buffer of <paramref name="length"/> bytes for the copy of an SSA frame's XSAVE area.</summary>
    internal Span<byte> XsaveScratch(int length)
    {
        if (length > _xsaveScratch.Length)
        {
            _xsaveScratch = new byte[length];
        }

        return _xsaveScratch.AsSpan(0, length);
    }

    /// <summary>Leaves enclave mode: what EEXIT and an asynchronous exit have in common.</summary>
    internal void LeaveEnclave(SgxProcessor processor, ref RegisterFile registers)
    {
        registers.FsBase = SavedFsBase;
        registers.GsBase = SavedGsBase;
        if (!DebugOptIn)
        {
            registers.Rflags = SavedTrapFlag ? registers.Rflags | Rflags.TF : registers.Rflags & ~Rflags.TF;
        }

        LeaveEnclave(processor);
    }

    /// <summary>Leaves enclave mode without a look at the registers.</summary>
    internal void LeaveEnclave(SgxProcessor processor)
    {
        EnclaveState enclave = processor.StateOf(ActiveSecs);
        Volatile.Write(ref processor.TcsOf(ActiveTcs).State, Tcs.Inactive);
        InEnclave = false;
        ActiveSecs = -1;
        ActiveTcs = -1;
        enclave.ThreadLeaves(EntryEpoch);
    }
}
