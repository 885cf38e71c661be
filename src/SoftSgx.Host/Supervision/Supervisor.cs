using System.Diagnostics.CodeAnalysis;
using SoftSgx.Host.Devices;
using SoftSgx.Host.Enclaves;
using SoftSgx.Host.Interop;
using SoftSgx.Host.Isolation;
using SoftSgx.Host.Monitor;
using SoftSgx.Host.Paging;
using SoftSgx.Host.Ptrace;
using SoftSgx.Host.Signals;
using SoftSgx.Host.Statistics;
using SoftSgx.Host.Tracing;
using SoftSgx.Kernel;
using SoftSgx.Kernel.Tracing;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Supervision;

/// <summary>The loop that waits for the program's stops and answers each: the counterpart of the kernel's trap and system-call entry.</summary>
/// <remarks>
/// <para>
/// ptrace demands that one thread makes all requests for a tracee. The program's first process has the first tracer; another process that uses
/// enclaves gets one of its own, where it can be had (<see cref="HandOver"/>). A lock guards the state below. Stops that concern one process,
/// such as transitions, are answered beside each other, all else by one tracer at a time, except while an ioctl is executed.
/// </para>
/// <para>
/// A tracee can vanish at any moment (SIGKILL); every request may fail, and then its end is what comes next.
/// </para>
/// </remarks>
internal sealed class Supervisor : IDisposable
{
    private readonly SupervisorLock _lock = new();
    private readonly Dictionary<int, TracedThread> _threads = [];

    /// <summary>The threads of ours that trace processes that were handed over, but for those seen to have ended.</summary>
    private readonly Queue<Thread> _tracers = [];
    private volatile bool _hasSeveral;

    /// <summary>Threads whose first stop, or end, came before the event of the parent that made them.</summary>
    private readonly Dictionary<int, WaitStatus> _early = [];

    private readonly SgxSubsystem _subsystem;
    private readonly ProgramImage _image;
    private readonly OpenDevices _devices = new();
    private readonly DeviceCalls _deviceCalls;
    private readonly MemoryCalls _memoryCalls;
    private readonly MemoryFileCalls _memoryFileCalls;
    private readonly RemoteMemoryCalls _remoteMemoryCalls;
    private readonly EnclaveTransitions _transitions;

    /// <summary>Null unless the run is strict.</summary>
    private readonly EnclaveIsolation? _isolation;
    private readonly AbortPages? _abortPages;

    /// <summary>Null if every transition is to be the model's.</summary>
    private readonly ProgramMonitor? _monitor;
    private readonly bool _probes;
    private readonly CpuidTraps _cpuid;
    private readonly FaultVerdicts _verdicts;
    private readonly ProgramPaging _paging;
    private readonly Action<string> _warn;
    private readonly ITrace? _trace;
    private readonly CallTrace? _callTrace;
    private int _program;

    /// <summary>
    /// True if the program's last stop came from the terminal or through us. One that a process sent to the program alone is ended by
    /// a SIGCONT to the program alone, which a stopped supervisor could not let through.
    /// </summary>
    private bool _stopsWithProgram;

    /// <summary>
    /// <see cref="SignalForwarder.Continued"/> when that stop began: if a SIGCONT to both of us came since, the program is going on
    /// already, and stopping now would be stopping for ever.
    /// </summary>
    private int _continuedAtStop;
    private WaitStatus _programStatus;

    internal Supervisor(
        SgxSubsystem subsystem,
        HostEpcPlatform platform,
        Pager pager,
        FaultVerdicts verdicts,
        CpuidTraps cpuid,
        DeviceAccess access,
        bool isStrict,
        bool isExact,
        bool probes,
        TransitionLog? trace,
        Action<string> warn)
    {
        _probes = probes;
        _trace = trace;
        _callTrace = trace is null ? null : new CallTrace(trace);
        _subsystem = subsystem;
        _image = new ProgramImage();
        _verdicts = verdicts;
        _paging = new ProgramPaging(_image, pager);
        bool isTraced = trace?.Wants(TraceKinds.Enclu) ?? false;
        _monitor = isExact || isStrict || !ProgramMonitor.IsPossible || (isTraced && !TscClock.IsUsable) ? null
            : new ProgramMonitor(subsystem, _image, isTraced ? trace : null);
        _deviceCalls = new DeviceCalls(subsystem, platform, _devices, _image, _paging, access, _monitor, _callTrace, warn, _lock);
        subsystem.DirectReclaim = ReclaimDirectly;
        _memoryCalls = new MemoryCalls(_devices, _image, _paging, _monitor);
        SupervisedProcesses processes = new(_threads);
        _memoryFileCalls = new MemoryFileCalls(processes, _image, _monitor, warn);
        _remoteMemoryCalls = new RemoteMemoryCalls(processes, _image);
        _abortPages = isStrict ? new AbortPages(_image, _paging) : null;
        _isolation = isStrict ? new EnclaveIsolation(warn) : null;
        _transitions = new EnclaveTransitions(subsystem, _image, _paging, _isolation, _monitor, trace);
        _cpuid = cpuid;
        _warn = warn;
    }

    public void Dispose() => _lock.Dispose();

    /// <summary>How threads entered and left enclaves so far.</summary>
    internal TransitionStatistics Transitions => _transitions.Statistics;

    /// <summary>A warning for the user when a program first opens the enclave device; null for none.</summary>
    internal string? NoticeAtFirstEnclave
    {
        init => _deviceCalls.NoticeAtFirstEnclave = value;
    }

    /// <summary>Supervises the program until the last of its processes has ended; how the program itself ended.</summary>
    /// <param name="pid">The program, seized by this thread and about to exec.</param>
    /// <param name="dispositions">What its fault signals do at the start.</param>
    internal WaitStatus Run(int pid, SignalDispositions dispositions)
    {
        _program = pid;
        Tracer tracer = new(_devices);
        Add(new TracedThread(pid, ProgramImage.Unprepared(pid), dispositions, _subsystem.Processor.Configuration) { Tracer = tracer });
        Trace(tracer);
        while (TryDequeueTracer(out Thread? other))
        {
            other.Join();
        }
        _devices.ReleaseUnreferenced();
        return _programStatus;
    }

    private bool TryDequeueTracer([NotNullWhen(true)] out Thread? tracer)
    {
        lock (_tracers)
        {
            return _tracers.TryDequeue(out tracer);
        }
    }

    /// <summary>Answers the stops of a tracer's threads until none is left. On the tracer's thread.</summary>
    private void Trace(Tracer tracer)
    {
        while (tracer.Threads > 0)
        {
            if (_verdicts.Any)
            {
                using (_lock.Share())
                {
                    TakeVerdicts(tracer);
                }
            }
            int tid = _hasSeveral ? PtraceCalls.WaitAnyStop(out WaitStatus status) : PtraceCalls.WaitAny(out status);
            if (tid == -EINTR)
            {
                continue;
            }
            if (tid < 0)
            {
                break; // ECHILD: nobody is left
            }
            if (status.Stopped || !_hasSeveral)
            {
                Answer(tid, status);
                continue;
            }
            using (_lock.Take())
            {
                // Taking the end of a process tells its parent. What that does then, another tracer may be asked: after we have seen the end.
                if (PtraceCalls.TakeEnd(tid, out status))
                {
                    OnStatus(tid, status);
                }
            }
        }
        TraceActor.Tid = 0;
    }

    /// <summary>Answers a stop: beside other tracers, if it is of one process alone.</summary>
    private void Answer(int tid, WaitStatus status)
    {
        TracedThread? thread;
        bool isAnswered = false;
        using (_lock.Share())
        {
            if (_threads.TryGetValue(tid, out thread))
            {
                if (status.Event == PTRACE_EVENT_SECCOMP && !PtraceCalls.GetRegs(tid, out thread.CallRegs))
                {
                    return; // its end comes next
                }
                isAnswered = IsOfOneProcess(thread, status);
                if (isAnswered)
                {
                    OnStop(thread, status);
                }
            }
        }
        if (isAnswered && thread!.Ended is null)
        {
            return;
        }
        using (_lock.Take())
        {
            if (isAnswered)
            {
                OnEnd(thread!, thread!.Ended!.Value);
            }
            else
            {
                OnStatus(tid, status);
            }
        }
    }

    /// <summary>A signal, or a call of the vDSO or the monitor: what is done then concerns no other process, and nothing that tracers share.</summary>
    private bool IsOfOneProcess(TracedThread thread, WaitStatus status) =>
        status is { Stopped: true, IsSyscallStop: false } && _isolation is null && _trace is null && !_probes
        && (status.Event == 0 || (status.Event == PTRACE_EVENT_SECCOMP && thread.CallRegs.OrigRax == SYS_rt_sigreturn));

    /// <summary>Gives a process to a new tracer; its thread goes on with these registers. False if there can be none.</summary>
    private bool TryGiveAway(TracedThread thread, in UserRegs regs)
    {
        HandOver process = new(_image, thread, regs);
        Thread tracer = new(() =>
        {
            Tracer own = new(_devices) { Threads = 1 };
            if (!process.IsReleased)
            {
                return;
            }
            WaitStatus status = process.Take();
            using (_lock.Take())
            {
                thread.Tracer = own;
                OnStatus(thread.Tid, status);
            }
            Trace(own);
        })
        {
            IsBackground = true,
            Name = "tracer",
        };
        try
        {
            tracer.Start();
        }
        catch (OutOfMemoryException)
        {
            thread.Tracer.IsLast = true;
            return false;
        }
        _hasSeveral = true;
        if (process.Release())
        {
            thread.Tracer.Threads--;
            lock (_tracers)
            {
                _tracers.Enqueue(tracer);
            }
        }
        return true; // or it has ended, which is what comes next
    }

    /// <summary>Frees EPC pages of enclaves that nobody has any more. Others than tracers wait for the reclaimer.</summary>
    private bool ReclaimDirectly()
    {
        if (!Tracer.IsCurrent || _lock.IsHeld)
        {
            return _lock.IsHeldAlone && _devices.ReleaseUnreferenced();
        }
        using (_lock.Take())
        {
            return _devices.ReleaseUnreferenced();
        }
    }

    private void Add(TracedThread thread)
    {
        _threads.Add(thread.Tid, thread);
        thread.Tracer.Threads++;
    }

    private bool Remove(int tid, [NotNullWhen(true)] out TracedThread? thread)
    {
        if (!_threads.Remove(tid, out thread))
        {
            return false;
        }
        thread.Tracer.Threads--;
        return true;
    }

    private void OnStatus(int tid, WaitStatus status)
    {
        if (_paging.OnStatus(tid, status))
        {
            return;
        }
        if (!_threads.TryGetValue(tid, out TracedThread? thread))
        {
            // A new thread's first stop may be seen before its parent's event; after it, if it was killed, its end.
            _early[tid] = status;
            return;
        }
        if (status.Exited || status.Signaled)
        {
            TraceActor.Tid = tid;
            OnEnd(thread, status);
            return;
        }
        OnStop(thread, status);
        if (thread.Ended is WaitStatus end)
        {
            OnEnd(thread, end);
        }
    }

    /// <summary>Interrupts the threads whose page faults the pager has judged.</summary>
    private void TakeVerdicts(Tracer tracer)
    {
        while (_verdicts.TryTake(tracer.Tid, out FaultVerdict verdict))
        {
            // One that is raising a fault is past what the verdict was on; if not, it will fault again.
            if (FindThread(verdict) is TracedThread { IsRaising: false } thread)
            {
                thread.Verdict = verdict;
                _ = PtraceCalls.Interrupt(thread.Tid); // fails if it is gone
            }
        }
    }

    private TracedThread? FindThread(in FaultVerdict verdict)
    {
        if (_threads.TryGetValue(verdict.Tid, out TracedThread? thread) && thread.Space.Paging == verdict.Space)
        {
            return thread;
        }
        foreach (TracedThread other in _threads.Values)
        {
            // In a process-id namespace of its own the thread has another id there.
            if (other.Space.Paging == verdict.Space && ProcStatus.InnermostId(other.Tid) == verdict.Tid)
            {
                return other;
            }
        }
        return null;
    }

    private void OnStop(TracedThread thread, WaitStatus status)
    {
        TraceActor.Tid = thread.Tid;
        (thread.PreviousStop, thread.LastStop) = (thread.LastStop, _verdicts.NextStop());
        thread.Space.Tid = thread.Tid;
        if (thread.Redirected is not null && _abortPages!.End(thread, status))
        {
            return;
        }
        if (_probes && MonitorProbe.OnStop(thread, status))
        {
            return;
        }
        if (thread.IsEnteringHandler && thread.EnterHandler(status))
        {
            return;
        }
        SignalStop stop = new(thread.Tid, status.StopSignal);
        if (_monitor is not null && _monitor.OnStop(thread, status, ref stop))
        {
            return;
        }
        int signal = status.StopSignal;
        // Stops that are no signals come before signals, also before the one of a fault that has happened.
        if (thread.IsRaising && status.Event != PTRACE_EVENT_STOP)
        {
            signal = _paging.EndRaise(thread, status, out bool isRaised);
            stop = new SignalStop(thread.Tid, signal); // it has other registers now
            if (isRaised)
            {
                _ = thread.Continue(signal);
                return;
            }
        }
        if (status.IsSyscallStop)
        {
            OnCallEnd(thread);
            return;
        }
        switch (status.Event)
        {
            case PTRACE_EVENT_SECCOMP:
                OnCall(thread);
                break;
            case PTRACE_EVENT_FORK:
            case PTRACE_EVENT_VFORK:
            case PTRACE_EVENT_CLONE:
                OnNewThread(thread);
                _ = thread.Continue();
                break;
            case PTRACE_EVENT_EXEC:
                OnExec(thread);
                break;
            case PTRACE_EVENT_STOP:
                OnEventStop(thread, signal);
                break;
            default:
                OnSignal(thread, signal, ref stop);
                break;
        }
    }

    private void OnCall(TracedThread thread)
    {
        UserRegs regs = thread.CallRegs;
        if (thread.IsForeign)
        {
            _ = thread.Continue();
            return;
        }
        if (_probes)
        {
            MonitorProbe.OnCall(thread, ref regs);
        }
        if (regs.OrigRax == SYS_rt_sigreturn)
        {
            thread.Tracer.Follower.Follow(thread);
            if (_transitions.OnVdsoTrap(thread, ref regs) || _transitions.OnMonitorCall(thread, ref regs))
            {
                return;
            }
        }
        if (thread.Processor.InEnclave)
        {
            _paging.RaiseInvalidOpcode(thread);
            return;
        }
        if (regs.OrigRax == SYS_rt_sigreturn)
        {
            _ = thread.Continue();
            return;
        }
        thread.CallRegs = regs;
        CallVerdict verdict = Decide(thread, ref regs);
        if (verdict.IsForAnotherTracer)
        {
            if (TryGiveAway(thread, HandOver.BeforeCall(regs)))
            {
                return;
            }
            verdict = Decide(thread, ref regs);
        }
        _callTrace?.OnDecided(thread, verdict);
        Finish(thread, ref regs, verdict);
    }

    private CallVerdict Decide(TracedThread thread, ref UserRegs regs)
    {
        if (thread.Space.Monitor is not null && ChangesEnclaveMappings(thread.Space, regs))
        {
            _monitor!.Withdraw(thread.Space);
        }
        switch ((int)regs.OrigRax)
        {
            case SYS_open or SYS_openat or SYS_openat2 or SYS_creat:
                return _deviceCalls.OnOpen(thread, ref regs);
            case SYS_stat or SYS_lstat or SYS_fstat or SYS_newfstatat or SYS_statx:
                return _deviceCalls.OnStat(thread, regs);
            case SYS_access or SYS_faccessat or SYS_faccessat2:
                return _deviceCalls.OnAccess(thread, regs);
            case SYS_readlink or SYS_readlinkat:
                return _deviceCalls.OnReadLink(thread, regs);
            case SYS_getxattr or SYS_lgetxattr or SYS_listxattr or SYS_llistxattr:
                return _deviceCalls.OnExtendedAttributes(thread, regs);
            case SYS_ioctl:
                if (_probes)
                {
                    MonitorProbe.OnIoctl(thread, regs);
                }
                return _deviceCalls.OnIoctl(thread, regs);
            case SYS_mmap:
                return _memoryCalls.OnMap(thread, ref regs);
            case SYS_munmap:
                return MemoryCalls.OnUnmap(thread, regs);
            case SYS_mremap:
                return MemoryCalls.OnRemap(thread, regs);
            case SYS_mprotect or SYS_pkey_mprotect:
                return MemoryCalls.OnProtect(thread, ref regs);
            case SYS_rt_sigprocmask:
                thread.MayEnterDirectly = false;
                return CallVerdict.GoOn;
            case SYS_sched_setaffinity or SYS_sched_getaffinity:
                ProcessorFollower.BeginAffinityCall();
                return CallVerdict.WatchEnd(PendingCall.Affinity);
            case SYS_rt_sigaction:
                return DeviceCalls.OnSigAction(thread, regs);
            case SYS_ftruncate or SYS_fallocate:
                return _deviceCalls.OnResize(thread, regs);
            case SYS_process_vm_readv or SYS_process_vm_writev:
                return _remoteMemoryCalls.OnCall(thread, regs);
            case SYS_dup or SYS_dup2 or SYS_dup3 or SYS_fcntl when MemoryFileCalls.IsWatched(thread, regs):
                return MemoryFileCalls.OnDuplicate(thread, regs);
            case SYS_read or SYS_write or SYS_pread64 or SYS_pwrite64 or SYS_readv or SYS_writev or SYS_preadv or SYS_pwritev or SYS_preadv2
                or SYS_pwritev2 when MemoryFileCalls.IsWatched(thread, regs):
                return _memoryFileCalls.OnTransfer(thread, regs);
            case var _ when thread.Space.TrapsCallsAt(regs.Rip - 1):
                return CallVerdict.GoOn; // code that lies where an enclave is or was, but outside of it
            default:
                return CallVerdict.Fail(ENOSYS); // a filter of the program's own asked for a tracer, and it has none (seccomp(2))
        }
    }

    private static bool ChangesEnclaveMappings(AddressSpace space, in UserRegs regs) => (int)regs.OrigRax switch
    {
        SYS_mmap or SYS_munmap or SYS_mprotect or SYS_pkey_mprotect => Overlaps(space, regs.Rdi, regs.Rsi),
        SYS_mremap => Overlaps(space, regs.Rdi, regs.Rsi) || Overlaps(space, regs.R8, regs.Rdx),
        _ => false,
    };

    private static bool Overlaps(AddressSpace space, ulong start, ulong length) =>
        start + length + PageSize > start && space.Enclaves.Overlaps(start, start + length + PageSize);

    private void Finish(TracedThread thread, ref UserRegs regs, CallVerdict verdict)
    {
        if (verdict.Skip)
        {
            regs.OrigRax = ulong.MaxValue;
            regs.Rax = (ulong)verdict.Result;
        }
        if (verdict.RegistersChanged && !PtraceCalls.SetRegs(thread.Tid, regs))
        {
            return;
        }
        thread.Pending = verdict.Pending;
        if (verdict.Pending == PendingCall.None)
        {
            _isolation?.Update(thread.Space);
        }
        _ = verdict.Pending == PendingCall.None ? thread.Continue() : PtraceCalls.ContToSyscall(thread.Tid);
    }

    private void OnCallEnd(TracedThread thread)
    {
        if (thread.Processor.InEnclave && thread.Pending == PendingCall.None)
        {
            _paging.RaiseInvalidOpcode(thread); // SYSCALL, SYSENTER or INT 0x80
            return;
        }
        PendingCall pending = thread.Pending;
        thread.Pending = PendingCall.None;
        if (pending == PendingCall.Exec)
        {
            OnExecEnd(thread);
        }
        else if (PtraceCalls.GetRegs(thread.Tid, out UserRegs regs))
        {
            switch (pending)
            {
                case PendingCall.OpenDevice:
                    _deviceCalls.OnOpenEnd(thread, ref regs);
                    break;
                case PendingCall.MapDevice:
                    _memoryCalls.OnMapEnclaveEnd(thread, ref regs);
                    break;
                case PendingCall.Map:
                    MemoryCalls.OnMapEnd(thread, regs);
                    break;
                case PendingCall.Protect:
                    _memoryCalls.OnProtectEnd(thread, ref regs);
                    break;
                case PendingCall.Unmap:
                    _memoryCalls.OnUnmapEnd(thread, regs);
                    break;
                case PendingCall.Remap:
                    MemoryCalls.OnRemapEnd(thread, regs);
                    break;
                case PendingCall.Affinity:
                    ProcessorFollower.EndAffinityCall();
                    break;
                case PendingCall.SigAction:
                    DeviceCalls.OnSigActionEnd(thread, regs);
                    break;
                case PendingCall.NewDescriptor:
                    _memoryFileCalls.OnNewDescriptor(thread, regs);
                    break;
                case PendingCall.RemoteMemory:
                    _remoteMemoryCalls.OnCallEnd(thread, regs);
                    break;
                case PendingCall.SettleMappings:
                    _memoryCalls.OnSettle(thread, regs);
                    break;
                default:
                    break;
            }
        }
        _callTrace?.OnEnded(thread);
        if (thread.Ended is null)
        {
            _isolation?.Update(thread.Space);
            _ = thread.Continue();
        }
    }

    private void OnSignal(TracedThread thread, int signal, ref SignalStop stop)
    {
        int tid = thread.Tid;
        if (signal == SIGTRAP && thread.Space.Monitor is not null && GoesOnAtWrittenSite(thread))
        {
            return;
        }
        if (!thread.IsForeign && (thread.Processor.InEnclave || signal == SIGILL)
            && ((!stop.MayBeFault && _trace is null) || stop.TryGetInfo()) && stop.TryGetRegs())
        {
            bool isIllegal = signal == SIGILL && stop.Info.IsSynchronousFault;
            if (isIllegal && EnclaveTransitions.IsEncluAt(thread.Space, stop.Regs.Rip))
            {
                thread.Tracer.Follower.Follow(thread);
                _transitions.OnEnclu(thread, ref stop.Regs);
                return;
            }
            if (thread.Processor.InEnclave)
            {
                thread.Tracer.Follower.Follow(thread);
                _transitions.OnSignalInside(thread, ref stop.Regs, ref stop.Info);
                return;
            }
            if (isIllegal && _cpuid.TryEmulate(thread, _image, ref stop.Regs))
            {
                return;
            }
        }
        if (signal == SIGSEGV && _abortPages is not null && !thread.IsForeign && !thread.Processor.InEnclave && _abortPages.TryAnswer(thread))
        {
            return;
        }
        if (signal is SIGSTOP or SIGTSTP or SIGTTIN or SIGTTOU && _threads.TryGetValue(_program, out TracedThread? leader) && leader.Space == thread.Space)
        {
            _continuedAtStop = SignalForwarder.Continued;
            _stopsWithProgram = stop.TryGetInfo() && (stop.Info.Code == SI_KERNEL || stop.Info.SenderPid == Libc.GetPid());
        }
        if (_trace is not null && PtraceCalls.GetSigInfo(tid, out SigInfo delivered))
        {
            _trace.Delivered(thread.Space, delivered);
        }
        _ = thread.Continue(signal);
    }

    /// <summary>The thread ran into a trap of a site of the monitor.</summary>
    private bool GoesOnAtWrittenSite(TracedThread thread)
    {
        if (!PtraceCalls.GetSigInfo(thread.Tid, out SigInfo info) || !FaultDecoder.IsBreakpoint(info)
            || !PtraceCalls.GetRegs(thread.Tid, out UserRegs regs))
        {
            return false;
        }
        ulong behind = ProgramMonitor.BehindTrap(thread.Space, regs.Rip - 1);
        if (behind == 0)
        {
            return false;
        }
        regs.Rip = behind;
        _ = ForcedSignal.At(thread, SIGTRAP).Undo(thread, _image, ref regs);
        _ = PtraceCalls.SetRegs(thread.Tid, regs) && thread.Continue();
        return true;
    }

    private void OnNewThread(TracedThread parent)
    {
        if (!PtraceCalls.GetEventMessage(parent.Tid, out ulong message))
        {
            return;
        }
        int tid = (int)message;
        if (_threads.ContainsKey(tid))
        {
            return;
        }
        ProcessorFollower.Inherit(parent, tid);
        bool sharesMemory = AreSame(KCMP_VM, parent.Tid, tid);
        if (!sharesMemory)
        {
            _monitor?.Withdraw(parent.Space); // two address spaces share the enclaves' TCSs from now on
        }
        AddressSpace space = sharesMemory ? parent.Space : parent.Space.Fork(tid);
        if (!sharesMemory)
        {
            // Whether calls that are under way took their mappings before the fork shows in the child.
            foreach (EnclaveMapping mapping in _threads.Values.Where(thread => thread.Space == parent.Space).SelectMany(static thread => thread.WithdrawnMappings))
            {
                if (!space.Enclaves.Overlaps(mapping.Start, mapping.End))
                {
                    space.Enclaves.Add(mapping);
                }
            }
        }
        SignalDispositions dispositions = AreSame(KCMP_SIGHAND, parent.Tid, tid) ? parent.Dispositions : parent.Dispositions.Copy();
        TracedThread thread = new(tid, space, dispositions, _subsystem.Processor.Configuration)
        {
            Tracer = parent.Tracer,
            IsForeign = parent.IsForeign,
            InheritsSegment = parent.MonitorSlot != 0,
            // Only threads of one process share dispositions, as good as always; and only for them TSYNC adds a filter.
            Watched = dispositions == parent.Dispositions ? parent.Watched : parent.Watched.Copy(),
        };
        Add(thread);
        if (_early.Remove(tid, out WaitStatus first))
        {
            OnStatus(tid, first);
        }
    }

    /// <summary>A stop of PTRACE_SEIZE: a new thread's first, a group-stop, or the end of one.</summary>
    private void OnEventStop(TracedThread thread, int signal)
    {
        if (signal is SIGSTOP or SIGTSTP or SIGTTIN or SIGTTOU)
        {
            _ = PtraceCalls.Listen(thread.Tid);
            if (thread.Tid == _program && _stopsWithProgram && SignalForwarder.Continued == _continuedAtStop)
            {
                // The shell waits for us, not for the program: stop with it, so that job control works. Whoever continues us means
                // the program; if it got a SIGCONT of its own, that one is still pending until we let it go on, and this is none more.
                _ = Libc.Kill(Libc.GetPid(), SIGSTOP);
                _ = Libc.Kill(thread.Tid, SIGCONT);
            }
            return;
        }
        FaultVerdict? verdict = thread.Verdict;
        thread.Verdict = null;
        if (thread.IsRaising)
        {
            _ = thread.Continue();
            return;
        }
        if (verdict is FaultVerdict fault && _paging.TryRaise(thread, fault))
        {
            return;
        }
        AddressSpace space = thread.Space;
        ProgramMonitor.ForgetSegment(thread);
        bool isFork = space.Enclaves.Count > 0 && space.Paging is null;
        if ((isFork || space.ParentMonitor is not null) && space.VdsoBase != 0 && PtraceCalls.GetRegs(thread.Tid, out UserRegs regs))
        {
            if (isFork && HandOver.IsDue(thread) && TryGiveAway(thread, regs))
            {
                return;
            }
            using InjectedCalls calls = InjectedCalls.Begin(thread, _image.Gadget(space), regs);
            if (isFork)
            {
                _paging.PrepareFork(thread, calls);
            }
            if (space.ParentMonitor is not null)
            {
                _monitor!.OnForked(thread, calls);
            }
            _isolation?.Update(space);
        }
        if (thread.Ended is null)
        {
            _ = thread.Continue();
        }
    }

    private void OnExec(TracedThread thread)
    {
        // All other threads of the group are gone, and the one that execed has the leader's id now (ptrace(2)).
        if (PtraceCalls.GetEventMessage(thread.Tid, out ulong former) && (int)former != thread.Tid && Remove((int)former, out TracedThread? caller))
        {
            LeaveSpace(caller);
        }
        thread.Pending = PendingCall.Exec;
        _ = PtraceCalls.ContToSyscall(thread.Tid);
    }

    private void OnExecEnd(TracedThread thread)
    {
        AddressSpace before = thread.Space;
        AbandonEnclave(thread);
        LeaveSpace(thread);
        thread.Space = _image.Prepare(thread);
        thread.Space.Threads++;
        thread.Space.HasEnclaveFilter = before.HasEnclaveFilter;
        thread.Space.CallTraps.AddRange(before.CallTraps);
        thread.Dispositions = thread.Dispositions.AfterExec();
        if (thread.IsForeign && thread.Tid == _program)
        {
            _warn("this is not a 64-bit program: it runs, but finds no SGX");
        }
        _devices.ReleaseUnreferenced();
    }

    private void OnEnd(TracedThread thread, WaitStatus status)
    {
        _ = Remove(thread.Tid, out _);
        _callTrace?.OnThreadEnded(thread);
        if (thread.Pending == PendingCall.Affinity)
        {
            ProcessorFollower.EndAffinityCall();
        }
        AbandonEnclave(thread);
        LeaveSpace(thread);
        if (thread.Tid == _program)
        {
            _programStatus = status;
        }
        if (thread.Space.Threads == 0)
        {
            _devices.ReleaseUnreferenced();
        }
        if (thread.Tid == _program)
        {
            _trace?.Ended(status);
        }
    }

    /// <summary>A thread that ends inside an enclave leaves its TCS free: the interrupt that killed it was an asynchronous exit.</summary>
    private void AbandonEnclave(TracedThread thread)
    {
        _monitor?.OnEnd(thread);
        if (thread.Processor.InEnclave)
        {
            _subsystem.Abandon(thread.Processor);
            thread.Inside = null;
        }
    }

    private void LeaveSpace(TracedThread thread)
    {
        AbortPages.Abandon(thread);
        ProgramMonitor.OnLeave(thread);
        if (--thread.Space.Threads == 0)
        {
            _monitor?.OnEmpty(thread.Space);
            _paging.Leave(thread.Space, thread.Tracer);
            thread.Space.Dispose();
        }
        _isolation?.Update(thread.Space); // it may have ended inside an enclave
    }

    /// <summary>Whether two threads share a resource of the kernel's; without kcmp(2), threads of one group do.</summary>
    private static bool AreSame(int resource, int first, int second)
    {
        nint order = Libc.Syscall(SYS_kcmp, first, second, resource, 0, 0);
        return order >= 0 ? order == 0 : Directory.Exists($"/proc/{first}/task/{second}");
    }
}
