using SoftSgx.Kernel;
using SoftSgx.Processor;

namespace SoftSgx.Simulation;

/// <summary>
/// A machine in memory: processor, EPC, and the SGX subsystem that runs on real machines too. Nothing in it is a model of the kernel:
/// it is the kernel, on another platform.
/// </summary>
public sealed class SimulatedMachine : IDisposable
{
    /// <summary>Largest enclave of the machine's processor, as a power of two of bytes.</summary>
    public const int MaximumEnclaveSizeLog2 = 44;

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(1);

    private readonly int _low;
    private readonly int _high;
    private readonly ReclaimerMode _mode;

    /// <summary>Makes a machine.</summary>
    /// <param name="options">What it is like.</param>
    /// <exception cref="ArgumentException">The reclaimer's settings make no sense.</exception>
    public SimulatedMachine(SimulatedMachineOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        if (options.Reclaim.Problem is { } problem)
        {
            throw new ArgumentException(problem, nameof(options));
        }

        ProcessorConfiguration configuration = new() { MaxEnclaveSizeLog2_64 = MaximumEnclaveSizeLog2 };
        PlatformSecrets secrets = PlatformSecrets.FromSeed("simulation"u8);
        Epc = new SimulatedEpc(options.EpcPages, options.WithContents);
        Processor = options.WithContents
            ? new SgxProcessor(configuration, secrets, options.EpcPages, Epc)
            : SgxProcessor.WithoutContents(configuration, secrets, options.EpcPages, Epc);
        Kernel = new SgxSubsystem(
            Processor, Epc, new SubsystemOptions { Reclaim = options.Reclaim, Scheduler = options.Scheduler });
        _low = options.Reclaim.LowPages;
        _high = options.Reclaim.HighPages;
        _mode = options.Reclaimer;
        if (_mode == ReclaimerMode.Thread)
        {
            Kernel.Reclaimer.Start();
        }
    }

    /// <summary>Frames and backing files.</summary>
    public SimulatedEpc Epc { get; }

    /// <summary>The processor.</summary>
    public SgxProcessor Processor { get; }

    /// <summary>The SGX subsystem.</summary>
    public SgxSubsystem Kernel { get; }

    /// <summary>Opens the enclave device and creates an enclave by ioctl.</summary>
    /// <param name="size">Size in bytes, a power of two from 8 KiB up.</param>
    /// <returns>The enclave; it has no pages yet.</returns>
    /// <exception cref="InvalidOperationException">The kernel refuses.</exception>
    public SimulatedEnclave CreateEnclave(ulong size) => new(this, size);

    /// <summary>
    /// With <see cref="ReclaimerMode.Inline"/>: what ksgxd does when an allocation wakes it. Otherwise nothing.
    /// </summary>
    public void Balance()
    {
        if (_mode != ReclaimerMode.Inline || Kernel.Pool.Free >= _low)
        {
            return;
        }

        while (Kernel.Pool.Free < _high && Kernel.Reclaimer.ReclaimBatch())
        {
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_mode == ReclaimerMode.Thread)
        {
            Kernel.Reclaimer.Stop();
        }
    }

    /// <summary>A fault has to be tried again: gives the reclaimer the chance to do something about it.</summary>
    /// <param name="seen">Its progress before the fault was handled.</param>
    internal void WaitForReclaimer(long seen)
    {
        // Before and after a schedule nobody else is there who could.
        if (_mode == ReclaimerMode.Inline || (_mode == ReclaimerMode.Scheduled && !VirtualScheduler.IsVirtualThread))
        {
            Kernel.Reclaimer.ReclaimBatch();
        }
        else
        {
            Kernel.Reclaimer.WaitForProgress(seen, s_patience);
        }
    }
}
