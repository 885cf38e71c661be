using System.Numerics;
using SoftSgx.Host.Enclaves;
using SoftSgx.Host.Interop;
using SoftSgx.Host.Monitor;
using SoftSgx.Host.Ptrace;
using SoftSgx.Host.Signals;
using SoftSgx.Host.Spawn;
using SoftSgx.Kernel;
using SoftSgx.Processor;
using static SoftSgx.Host.Interop.Native;

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

    /// <summary>
    /// The signals of faults that were blocked at the last entry into an enclave. Inside they are not: no code there can ask, and a fault becomes
    /// a signal after the exit only, but the kernel, when it forces a blocked signal, takes the handler away from all threads.
    /// </summary>
    internal ulong MaskAtEntry { get; set; }

    /// <summary>Those of them that were sent to the thread while it was inside.</summary>
    private ulong _heldInside;

    /// <summary>
    /// It stops at the first instruction of a handler, for SIGILL not to be blocked there. An ENCLU in it that traps would be a blocked signal,
    /// whose handler the kernel takes away from all threads, and a SIGILL of another thread would be the end of the process.
    /// </summary>
    internal bool IsEnteringHandler { get; private set; }

    /// <summary><see cref="MayEnterDirectly"/> before the signal.</summary>
    private bool _couldEnterDirectly;

    /// <summary>The descriptors of its process that filters watch.</summary>
    internal WatchedDescriptors Watched { get; init; } = new();

    /// <summary>
    /// It may enter enclaves by the monitor: at its last entry that the supervisor saw no fault's signal was blocked, and nothing has
    /// happened since that could block one. To force a blocked signal the kernel unblocks it, and afterwards nobody can tell that it was.
    /// </summary>
    /// <remarks>
    /// A signal that is delivered at an asynchronous exit changes the mask only until its handler returns: then the thread is back with the
    /// registers of the exit, and may resume directly (<see cref="DeliverAtExit"/>).
    /// </remarks>
    internal bool MayEnterDirectly
    {
        get;
        set
        {
            field = value;
            _interruption = null;
        }
    }

    /// <summary>RSP and TCS of the exit at which a signal was delivered, if the thread could enter directly until then.</summary>
    private (ulong Rsp, ulong Tcs)? _interruption;

    /// <summary>Number of its record in the monitor of its address space; 0 for none.</summary>
    internal int MonitorSlot { get; set; }

    /// <summary>
    /// RSP and RBP outside, of a thread that stopped in the monitor after it had entered: it may not have written them down yet.
    /// </summary>
    internal (ulong Rsp, ulong Rbp)? StackAtEntry { get; set; }

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

    /// <summary>The thread has entered an enclave: the signals of faults are not blocked there.</summary>
    internal void UnblockInside()
    {
        if (!PtraceCalls.GetSigMask(Tid, out ulong mask))
        {
            return;
        }
        MaskAtEntry = mask & SignalDispositions.KeptSignals;
        MayEnterDirectly = MaskAtEntry == 0;
        if (MaskAtEntry != 0)
        {
            _ = PtraceCalls.SetSigMask(Tid, mask & ~MaskAtEntry);
        }
    }

    /// <summary>The thread has left an enclave, by whatever way.</summary>
    internal void BlockOutside()
    {
        if (MaskAtEntry == 0 || !PtraceCalls.GetSigMask(Tid, out ulong mask))
        {
            return;
        }
        _ = PtraceCalls.SetSigMask(Tid, mask | MaskAtEntry);
        for (; _heldInside != 0; _heldInside &= _heldInside - 1)
        {
            _ = Libc.Syscall(SYS_tkill, Tid, BitOperations.TrailingZeroCount(_heldInside) + 1);
        }
    }

    /// <summary>
    /// A signal that the program has blocked was sent to the thread inside: it is pending from the exit on. (A fault whose signal is pending
    /// already could not be told from it.)
    /// </summary>
    internal void HoldInside(int signal)
    {
        _heldInside |= LaunchEnvironment.SignalBit(signal);
        _ = Resume(0);
    }

    /// <summary>The first stop after a signal was delivered: true if it goes on in the handler.</summary>
    internal bool EnterHandler(WaitStatus status)
    {
        bool isStep = IsEnteringHandler && status is { Event: 0, IsSyscallStop: false, StopSignal: SIGTRAP };
        IsEnteringHandler = false;
        if (isStep && PtraceCalls.GetSigMask(Tid, out ulong mask))
        {
            mask &= ~LaunchEnvironment.SignalBit(SIGILL);
            if (_couldEnterDirectly && (mask & SignalDispositions.KeptSignals) == 0)
            {
                MayEnterDirectly = true; // and when the handler returns, as before
            }
            _ = PtraceCalls.SetSigMask(Tid, mask) && Resume(0);
        }
        return isStep;
    }

    /// <summary>
    /// Lets the thread go on, with a signal or none. Inside an enclave there are no system calls: one that is tried stops the thread
    /// and is not executed.
    /// </summary>
    internal bool Continue(int signal = 0)
    {
        _couldEnterDirectly = MayEnterDirectly;
        if (signal != 0)
        {
            MayEnterDirectly = false;
        }
        return Go(signal);
    }

    /// <summary>Lets the thread go on with a signal, from where an asynchronous exit led: with these registers it will ask for ERESUME.</summary>
    internal bool DeliverAtExit(int signal, ulong rsp, ulong tcs)
    {
        _couldEnterDirectly = MayEnterDirectly;
        if (MayEnterDirectly)
        {
            MayEnterDirectly = false;
            _interruption = (rsp, tcs);
        }
        return Go(signal);
    }

    /// <summary>The thread stopped. If it has resumed what was interrupted, by the monitor, its mask is what it was before.</summary>
    internal void NoteReturn()
    {
        if (_interruption is not null && Space.Monitor!.Thread(MonitorSlot).Tcs != ThreadRecord.Interrupted)
        {
            MayEnterDirectly = true;
        }
    }

    private bool Go(int signal)
    {
        IsEnteringHandler = Space is { Threads: > 1, Enclaves.Count: > 0 } && Dispositions.HandlerBlocks(signal, SIGILL);
        Dispositions.OnDelivered(signal);
        bool isKept = KeptBy?.TryKeep(this) ?? false;
        bool goes = Resume(signal);
        if (isKept)
        {
            KeptBy!.Release(this);
        }
        return goes;
    }

    private bool Resume(int signal)
    {
        if (MonitorSlot != 0)
        {
            ref ThreadRecord record = ref Space.Monitor!.Thread(MonitorSlot);
            bool mayResume = !Processor.InEnclave && _interruption is not null;
            if (mayResume)
            {
                (record.ReturnRsp, record.ReturnTcs) = _interruption!.Value;
            }
            record.Tcs = mayResume ? ThreadRecord.Interrupted : Processor.InEnclave || !MayEnterDirectly ? ThreadRecord.Occupied : 0;
        }
        if (IsEnteringHandler || (ProbeSteps != 0 && signal == 0))
        {
            return PtraceCalls.SingleStep(Tid, signal);
        }
        return Processor.InEnclave && !Space.TrapsCallsOf(Inside) ? PtraceCalls.ContWithoutCalls(Tid, signal) : PtraceCalls.Cont(Tid, signal);
    }

    /// <summary>The access to enclave memory that it executes from a slot.</summary>
    internal Isolation.RedirectedAccess? Redirected { get; set; }

    /// <summary>RIP and RCX of an access that failed in the slot.</summary>
    internal (ulong Rip, ulong Rcx) FailedAccess { get; set; }

    /// <summary>Counts its stops, to follow it to its processor now and then.</summary>
    internal uint Stops;

    /// <summary>Where it was at the last look, and when that was (<see cref="System.Diagnostics.Stopwatch"/>).</summary>
    internal (int Processor, long Time) Seen = (-1, 0);

    /// <summary>Who keeps it on its processor when it is woken; null for nobody.</summary>
    internal ProcessorFollower? KeptBy { get; set; }

    /// <summary>As many more looks at it until it may be woken elsewhere, to see whether it still would be.</summary>
    internal int KeptLooks { get; set; }

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
