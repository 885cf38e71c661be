using SoftSgx.Architecture;
using SoftSgx.Processor;

namespace SoftSgx.Kernel;

/// <summary>
/// The SGX subsystem of a kernel: its EPC pool and its two devices, over one processor and one platform.
/// The counterpart of arch/x86/kernel/cpu/sgx/main.c.
/// </summary>
public sealed partial class SgxSubsystem
{
    /// <summary>Makes the subsystem of a processor whose EPC nobody uses yet.</summary>
    /// <param name="processor">The processor. All its EPC pages go into the pool.</param>
    /// <param name="platform">Where the contents of EPC pages live: what the processor reads them through.</param>
    /// <param name="options">What can be chosen.</param>
    public SgxSubsystem(SgxProcessor processor, IEpcPlatform platform, SubsystemOptions? options = null)
        : this(processor, platform, options ?? new SubsystemOptions(), new ProcessorEncls(processor))
    {
    }

    internal SgxSubsystem(SgxProcessor processor, IEpcPlatform platform, SubsystemOptions options, IEncls encls)
    {
        Processor = processor;
        Platform = platform;
        Options = options;
        Encls = encls;
        Pool = new EpcPool(processor.Epcm.PageCount);
        Device = new EnclaveDevice(this);
        Provision = new ProvisionDevice();
    }

    /// <summary>The processor.</summary>
    public SgxProcessor Processor { get; }

    /// <summary>The EPC pages, free and used.</summary>
    public EpcPool Pool { get; }

    /// <summary>What swaps pages out.</summary>
    public Reclaimer Reclaimer { get; } = new();

    /// <summary>What paging did for all enclaves so far.</summary>
    public PagingCounters Counters => throw new NotImplementedException();

    /// <summary>The enclaves that were created, ended ones included, in the order of their creation; the first 1,000 of them.</summary>
    public IReadOnlyList<EnclaveReport> Reports => throw new NotImplementedException();

    /// <summary>
    /// An EPC page suffers a memory failure: it is never handed out again, and whoever accesses it gets SIGBUS.
    /// The counterpart of arch_memory_failure in arch/x86/kernel/cpu/sgx/main.c.
    /// </summary>
    /// <param name="epcPage">Index of the page.</param>
    /// <returns><see langword="false"/> if there is no such page.</returns>
    public bool Poison(int epcPage) => throw new NotImplementedException();

    /// <summary>The enclave device.</summary>
    public EnclaveDevice Device { get; }

    /// <summary>The provisioning device.</summary>
    public ProvisionDevice Provision { get; }

    /// <summary>
    /// Called when an ioctl finds no free EPC page, before it answers ENOMEM: frees what can be freed, such as enclaves that
    /// nobody refers to any more, and answers <see langword="true"/> if another attempt is worth it. May be called repeatedly.
    /// </summary>
    /// <remarks>
    /// Runs on the caller's thread with the ioctl flag of the calling opener held and no lock, so it may
    /// <see cref="Enclave.Release"/> any enclave but that one.
    /// </remarks>
    public Func<bool>? DirectReclaim { get; set; }

    /// <summary>Takes a free EPC page, reclaiming directly if there is none. Not under an enclave's lock.</summary>
    /// <param name="type">What the page will be used as.</param>
    /// <param name="page">Its index.</param>
    /// <returns><see langword="false"/> if nothing is free or reclaimable (ENOMEM).</returns>
    internal bool TryAllocateEpcPage(PageType type, out int page)
    {
        while (!Pool.TryAllocate(type, out page))
        {
            if (DirectReclaim is null || !DirectReclaim())
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Where the contents of EPC pages live.</summary>
    internal IEpcPlatform Platform { get; }

    /// <summary>What was chosen.</summary>
    internal SubsystemOptions Options { get; }

    /// <summary>The ENCLS leaves.</summary>
    internal IEncls Encls { get; }
}
