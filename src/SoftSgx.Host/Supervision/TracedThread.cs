using SoftSgx.Host.Enclaves;
using SoftSgx.Host.Monitor;
using SoftSgx.Host.Ptrace;
using SoftSgx.Host.Signals;
using SoftSgx.Kernel;
using SoftSgx.Processor;

namespace SoftSgx.Host.Supervision;

/// <summary>One thread of the supervised program, which is one logical processor to the model.</summary>
internal sealed class TracedThread
{
    internal TracedThread(int tid, AddressSpace space, SignalDispositions dispositions, ProcessorConfiguration configuration)
    {
        Processor = new LogicalProcessor(configuration);
        Tid = tid;
        Space = space;
        Dispositions = dispositions;
        space.Threads++;
    }

    internal int Tid { get; set; }

    /// <summary>Who traces it.</summary>
    internal required Tracer Tracer { get; set; }

    /// <summary>The address space it runs in now; changes by exec.</summary>
    internal AddressSpace Space { get; set; }

    internal SignalDispositions Dispositions { get; set; }

    internal LogicalProcessor Processor { get; }

    /// <summary>True while it runs a program that is not 64-bit: then nothing of SGX is there for it.</summary>
    internal bool IsForeign { get; set; }

    /// <summary>The enclave that it is in.</summary>
    internal OpenEnclave? Inside
    {
        get;
        set
        {
            Space.ThreadsInside += (value is null ? 0 : 1) - (field is null ? 0 : 1);
            field = value;
        }
    }

    /// <summary>The signal mask at the last entry into an enclave: inside, nothing but us can change it.</summary>
    internal ulong MaskAtEntry { get; set; }

    /// <summary>The descriptors of its process that filters watch.</summary>
    internal WatchedDescriptors Watched { get; init; } = new();

    /// <summary>
    /// It may enter enclaves by the monitor: at its last entry that the supervisor saw no fault's signal was blocked, and nothing has
    /// happened since that could block one. To force a blocked signal the kernel unblocks it, and afterwards nobody can tell that it was.
    /// </summary>
    internal bool MayEnterDirectly { get; set; }

    /// <summary>Number of its record in the monitor of its address space; 0 for none.</summary>
    internal int MonitorSlot { get; set; }

    /// <summary>It inherited the segment by which its creator finds a record, and has not run yet.</summary>
    internal bool InheritsSegment { get; set; }

    /// <summary>As many more steps in the monitor until a signal, see <see cref="MonitorProbe"/>; 0 for none.</summary>
    internal int ProbeSteps { get; set; }

    /// <summary>Steps outside the monitor since the last one in it.</summary>
    internal int ProbeIdle { get; set; }

    /// <summary>What to do at the end of the system call under way.</summary>
    internal PendingCall Pending { get; set; }

    /// <summary>The registers that the system call under way had when the program made it.</summary>
    internal UserRegs CallRegs;

    /// <summary>What a trace will say of the call under way; null if nothing.</summary>
    internal Kernel.Tracing.TraceEvent? TracedCall { get; set; }

    /// <summary>The enclave that the call under way concerns.</summary>
    internal OpenEnclave? CallEnclave { get; set; }

    /// <summary>The mappings of enclaves that the call under way takes away.</summary>
    internal EnclaveMapping[] WithdrawnMappings { get; set; } = [];

    /// <summary>What the call under way, which was cut short, will say at its end.</summary>
    internal Errno CallErrno { get; set; }

    /// <summary>The device that the open under way names.</summary>
    internal Devices.DeviceNode CallDevice { get; set; }

    /// <summary>The flags of the open under way.</summary>
    internal int CallOpenFlags { get; set; }

    /// <summary>The new disposition that the rt_sigaction under way sets.</summary>
    internal KernelSigAction CallAction;

    /// <summary>A stop signal that arrived during an injected call; sent again afterwards.</summary>
    internal int HeldSignal { get; set; }

    /// <summary>The process that an injected clone made, by its id here; its result is the id that the program would see.</summary>
    internal int InjectedChild { get; set; }

    /// <summary>Set when the thread ended during an injected call: the end must still be accounted for.</summary>
    internal WaitStatus? Ended { get; set; }

    /// <summary>Instruction and page of the fault that was answered last by giving the page a wider protection.</summary>
    internal (ulong Rip, ulong Page) Widened { get; set; }

    /// <summary>
    /// Lets the thread go on, with a signal or none. Inside an enclave there are no system calls: one that is tried stops the thread
    /// and is not executed.
    /// </summary>
    internal bool Continue(int signal = 0)
    {
        Dispositions.OnDelivered(signal);
        if (MonitorSlot != 0)
        {
            MayEnterDirectly &= signal == 0;
            Space.Monitor!.Thread(MonitorSlot).Tcs = Processor.InEnclave || !MayEnterDirectly ? ThreadRecord.Occupied : 0;
        }
        if (ProbeSteps != 0 && signal == 0)
        {
            return PtraceCalls.SingleStep(Tid);
        }
        return Processor.InEnclave && !Space.TrapsCallsOf(Inside) ? PtraceCalls.ContWithoutCalls(Tid, signal) : PtraceCalls.Cont(Tid, signal);
    }

    /// <summary>The access to enclave memory that it executes from a slot.</summary>
    internal Isolation.RedirectedAccess? Redirected { get; set; }

    /// <summary>RIP and RCX of an access that failed in the slot.</summary>
    internal (ulong Rip, ulong Rcx) FailedAccess { get; set; }

    /// <summary>Counts its stops, to follow it to its processor now and then.</summary>
    internal uint Stops;

    /// <summary>The numbers of its last stop and of the one before, see <see cref="Paging.FaultVerdicts.NextStop"/>.</summary>
    internal long LastStop, PreviousStop;

    /// <summary>A verdict on its page fault, for which it is being interrupted.</summary>
    internal Paging.FaultVerdict? Verdict { get; set; }

    /// <summary>Instruction and address of a verdict that did not seem to be on what the thread was doing.</summary>
    internal (ulong Rip, ulong Address) Doubted { get; set; }

    /// <summary>True while it executes an access that faults in place of the one at <see cref="RaisedAddress"/>.</summary>
    internal bool IsRaising { get; set; }

    /// <summary>The address whose fault is being raised.</summary>
    internal ulong RaisedAddress { get; set; }

    /// <summary>The registers that it had at that access.</summary>
    internal UserRegs RaisedRegs;

    /// <summary>What the signal raised shall say, where that is known already; otherwise it is a fault still to be looked at.</summary>
    internal SigInfo? RaisedInfo { get; set; }
}
