using SoftSgx.Architecture;
using SoftSgx.Kernel.Tracing;
using SoftSgx.Processor;

namespace SoftSgx.Kernel;

/// <summary>
/// The SGX subsystem of a kernel: its EPC pool and its two devices, over one processor and one platform.
/// The counterpart of arch/x86/kernel/cpu/sgx/main.c.
/// </summary>
public sealed partial class SgxSubsystem
{
    /// <summary>How long to wait for the reclaimer's next batch before looking again.</summary>
    internal static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(20);

    /// <summary>Makes the subsystem of a processor whose EPC nobody uses yet.</summary>
    /// <param name="processor">The processor. All its EPC pages go into the pool.</param>
    /// <param name="platform">Where the contents of EPC pages live: what the processor reads them through.</param>
    /// <param name="options">What can be chosen.</param>
    /// <exception cref="ArgumentException">The options do not fit the processor, or a logical processor differs from it.</exception>
    public SgxSubsystem(SgxProcessor processor, IEpcPlatform platform, SubsystemOptions? options = null)
        : this(processor, platform, options ?? new SubsystemOptions(), new ProcessorEncls(processor))
    {
    }

    internal SgxSubsystem(SgxProcessor processor, IEpcPlatform platform, SubsystemOptions options, IEncls encls)
    {
        Processor = processor;
        Platform = platform;
        Options = options;
        Encls = options.Trace is null ? encls : new TracingEncls(encls, processor, options.Trace);
        EpcLayout layout = options.Layout ?? new EpcLayout((processor.Epcm.PageCount, 0));
        if (layout.Pages != processor.Epcm.PageCount)
        {
            throw new ArgumentException($"the layout has {layout.Pages} EPC pages, the processor {processor.Epcm.PageCount}", nameof(options));
        }

        if (options.Reclaim.Problem is { } problem)
        {
            throw new ArgumentException(problem, nameof(options));
        }

        for (int i = 0; i < options.OtherProcessors.Count; i++)
        {
            if (ProcessorUniformity.Difference(processor.Configuration, options.OtherProcessors[i]) is { } difference)
            {
                throw new ArgumentException($"logical processor {i + 1} is not as the boot processor: {difference}", nameof(options));
            }
        }

        var links = new EpcPageLinks(layout.Pages);
        Pool = new EpcPool(layout, links);
        EpcSanitizer.Run(encls, Pool);
        Reclaimer = new Reclaimer(this, links, options.Reclaim);
        Device = new EnclaveDevice(this);
        Provision = new ProvisionDevice();
    }

    /// <summary>The processor.</summary>
    public SgxProcessor Processor { get; }

    /// <summary>The EPC pages, free and used.</summary>
    public EpcPool Pool { get; }

    /// <summary>What swaps pages out.</summary>
    public Reclaimer Reclaimer { get; }

    /// <summary>The enclave device.</summary>
    public EnclaveDevice Device { get; }

    /// <summary>The provisioning device.</summary>
    public ProvisionDevice Provision { get; }

    /// <summary>
    /// Called when an ioctl finds no free EPC page, before it reclaims any: frees what can be freed, such as enclaves that
    /// nobody refers to any more, and answers <see langword="true"/> if another attempt is worth it. May be called repeatedly.
    /// </summary>
    /// <remarks>
    /// Runs on the caller's thread with the ioctl flag of the calling opener held and no lock, so it may
    /// <see cref="Enclave.Release"/> any enclave but that one.
    /// </remarks>
    public Func<bool>? DirectReclaim { get; set; }

    /// <summary>
    /// An EPC page suffers a memory failure: it is never handed out again, and whoever accesses it gets SIGBUS.
    /// The counterpart of arch_memory_failure in arch/x86/kernel/cpu/sgx/main.c.
    /// </summary>
    /// <param name="epcPage">Index of the page.</param>
    /// <returns><see langword="false"/> if there is no such page.</returns>
    public bool Poison(int epcPage)
    {
        if ((uint)epcPage >= (uint)Pool.Total)
        {
            return false;
        }

        if (Pool.Poison(epcPage))
        {
            (Enclave? enclave, ulong index) = Reclaimer.OwnerOf(epcPage);
            enclave?.OnPoisoned(epcPage, index);
        }

        return true;
    }

    /// <summary>
    /// Takes a free EPC page, reclaiming directly if there is none. Not under an enclave's lock.
    /// Behaviour: sgx_alloc_epc_page with reclaim in arch/x86/kernel/cpu/sgx/main.c.
    /// </summary>
    /// <param name="type">What the page will be used as.</param>
    /// <param name="page">Its index.</param>
    /// <returns><see langword="false"/> if nothing is free or reclaimable (ENOMEM).</returns>
    internal bool TryAllocateEpcPage(PageType type, out int page)
    {
        Reach(SchedulingPoint.Allocate);
        while (!Pool.TryAllocate(type, out page, Options.CurrentNode()))
        {
            // Enclaves that nobody refers to any more first: they cost nothing to remove.
            if (DirectReclaim is not null && DirectReclaim())
            {
                continue;
            }

            long seen = Reclaimer.Progress;
            if (!Reclaimer.CanReclaim)
            {
                return false;
            }

            if (!Reclaimer.ReclaimBatch())
            {
                // Everything that could go is in another thread's batch.
                Reclaimer.WaitForProgress(seen, Patience);
            }
        }

        Reclaimer.WakeIfLow();
        return true;
    }

    /// <summary>Takes a free EPC page for a page fault, which never reclaims directly. Under an enclave's lock.</summary>
    /// <param name="type">What the page will be used as.</param>
    /// <param name="page">Its index.</param>
    /// <returns>
    /// <see cref="FaultOutcome.Present"/> with a page, <see cref="FaultOutcome.Retry"/> or <see cref="FaultOutcome.Exhausted"/>.
    /// </returns>
    internal FaultOutcome TryAllocateForFault(PageType type, out int page)
    {
        bool mayFree = Reclaimer.IsReleaseUnderWay; // asked first: what it returned meanwhile is found
        bool found = Pool.TryAllocate(type, out page, Options.CurrentNode());
        Reclaimer.WakeIfLow();
        return found ? FaultOutcome.Present
            : mayFree || Reclaimer.CanReclaim ? FaultOutcome.Retry
            : FaultOutcome.Exhausted;
    }

    /// <summary>
    /// What an ioctl of SGX2 does before each page: reclaims a batch if fewer pages are free than the low watermark
    /// (sgx_reclaim_direct in arch/x86/kernel/cpu/sgx/main.c). No lock is held.
    /// </summary>
    internal void ReclaimIfLow()
    {
        if (Pool.Free < Options.Reclaim.LowPages && Reclaimer.CanReclaim)
        {
            Reclaimer.ReclaimBatch();
        }
    }

    /// <summary>A point where a simulation may let other threads go first. No lock is held.</summary>
    internal void Reach(SchedulingPoint point) => Options.Scheduler?.Reach(point);

    /// <summary>All enclaves that have an opener, by their ids.</summary>
    internal EnclaveTable Enclaves { get; } = new();

    /// <summary>Where the contents of EPC pages live.</summary>
    internal IEpcPlatform Platform { get; }

    /// <summary>What was chosen.</summary>
    internal SubsystemOptions Options { get; }

    /// <summary>Takes what happens; <see langword="null"/> if nobody looks.</summary>
    internal ITrace? Trace => Options.Trace;

    /// <summary>The ENCLS leaves.</summary>
    internal IEncls Encls { get; }
}
