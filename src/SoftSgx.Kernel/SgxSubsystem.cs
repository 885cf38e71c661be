using SoftSgx.Processor;

namespace SoftSgx.Kernel;

/// <summary>
/// The SGX subsystem of a kernel: its EPC pool and its two devices, over one processor and one platform.
/// The counterpart of arch/x86/kernel/cpu/sgx/main.c.
/// </summary>
public sealed class SgxSubsystem
{
    /// <summary>Makes the subsystem of a processor whose EPC nobody uses yet.</summary>
    /// <param name="processor">The processor. All its EPC pages go into the pool.</param>
    /// <param name="platform">Where the contents of EPC pages live; the same object that the processor reads them through.</param>
    /// <param name="delay">How to sleep; <see cref="Thread.Sleep(TimeSpan)"/> if left out.</param>
    public SgxSubsystem(SgxProcessor processor, IEpcPlatform platform, Action<TimeSpan>? delay = null)
        : this(processor, platform, delay ?? Thread.Sleep, new ProcessorEncls(processor))
    {
    }

    internal SgxSubsystem(SgxProcessor processor, IEpcPlatform platform, Action<TimeSpan> delay, IEncls encls)
    {
        Processor = processor;
        Platform = platform;
        Delay = delay;
        Encls = encls;
        Pool = new EpcPool(processor.Epcm.PageCount);
        Device = new EnclaveDevice(this);
        Provision = new ProvisionDevice();
    }

    /// <summary>The processor.</summary>
    public SgxProcessor Processor { get; }

    /// <summary>The EPC pages, free and used.</summary>
    public EpcPool Pool { get; }

    /// <summary>The enclave device.</summary>
    public EnclaveDevice Device { get; }

    /// <summary>The provisioning device.</summary>
    public ProvisionDevice Provision { get; }

    /// <summary>Where the contents of EPC pages live.</summary>
    internal IEpcPlatform Platform { get; }

    /// <summary>How to sleep.</summary>
    internal Action<TimeSpan> Delay { get; }

    /// <summary>The ENCLS leaves.</summary>
    internal IEncls Encls { get; }
}
