using SoftSgx.Kernel.Tracing;
using SoftSgx.Processor;

namespace SoftSgx.Kernel;

/// <summary>What can be chosen about an SGX subsystem.</summary>
public sealed record SubsystemOptions
{
    /// <summary>Sections and NUMA nodes of the EPC; one section on node 0 if left out. It has as many pages as the processor.</summary>
    public EpcLayout? Layout { get; init; }

    /// <summary>How the reclaimer works.</summary>
    public ReclaimSettings Reclaim { get; init; } = new();

    /// <summary>How to sleep; <see cref="Thread.Sleep(TimeSpan)"/> if left out.</summary>
    public Action<TimeSpan> Delay { get; init; } = Thread.Sleep;

    /// <summary>The NUMA node that the calling thread runs on; node 0 if left out.</summary>
    public Func<int> CurrentNode { get; init; } = static () => 0;

    /// <summary>Who decides which thread goes on; <see langword="null"/> where threads run by themselves.</summary>
    public IKernelScheduler? Scheduler { get; init; }

    /// <summary>
    /// The logical processors beside the boot processor, which is the one that the subsystem is made with. They must not differ from
    /// it: <see cref="ProcessorUniformity"/>.
    /// </summary>
    public IReadOnlyList<ProcessorConfiguration> OtherProcessors { get; init; } = [];

    /// <summary>Asked before anything that a policy may forbid; <see langword="null"/> if everything is allowed.</summary>
    public ISecurityModule? Security { get; init; }

    /// <summary>The thread of the program for which the calling thread works; none if left out.</summary>
    public Func<ICallingTask> CurrentTask { get; init; } = static () => NoTask.Instance;

    /// <summary>Takes what happens; <see langword="null"/> if nobody looks.</summary>
    public ITrace? Trace { get; init; }
}
