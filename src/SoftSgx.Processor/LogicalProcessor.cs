using SoftSgx.Architecture;

namespace SoftSgx.Processor;

/// <summary>
/// What SGX adds to one logical processor: the registers that remember an entry into an enclave, and the launch-control MSRs.
/// SDM vol. 3D, "Enclave mode and control registers" (the CR_ registers of the instruction reference).
/// </summary>
/// <remarks>Belongs to one thread at a time; only <see cref="SgxProcessor"/> is shared.</remarks>
public sealed partial class LogicalProcessor
{
    private int[] _xsavePages = new int[2];
    private int[] _stagedXsavePages = new int[2];
    private int _xsavePageCount;
    private int _stagedXsavePageCount;
    private byte[] _xsaveScratch = [];

    /// <summary>A logical processor whose MSRs are as firmware leaves them.</summary>
    /// <param name="configuration">What firmware leaves; SGX on and launch control writable if left out.</param>
    public LogicalProcessor(ProcessorConfiguration? configuration = null)
    {
        configuration ??= ProcessorConfiguration.Default;
        FeatureControl = configuration.FeatureControl;
        LePubKeyHash = configuration.LePubKeyHash;
    }

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

    /// <summary>
    /// Entries leave GPRSGX.URSP and URBP alone: they have happened already, and who entered writes them, or has.
    /// </summary>
    public bool KeepsStack { get; set; }

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
