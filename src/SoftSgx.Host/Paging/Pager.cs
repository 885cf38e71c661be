using System.Runtime.InteropServices;
using SoftSgx.Host.Enclaves;
using SoftSgx.Host.Interop;
using SoftSgx.Host.Supervision;
using SoftSgx.Kernel;
using SoftSgx.Kernel.Tracing;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Paging;

/// <summary>The thread that answers page faults in enclave memory, of all address spaces.</summary>
/// <remarks>
/// <para>
/// It blocks for new faults only when it has none to answer. Faults that have to wait for the reclaimer wait here, in a list, while
/// others are answered. It never waits for the tracer, which may be waiting for a page itself.
/// </para>
/// <para>
/// A thread wakes up to find its page, or faults again: answering a fault that is answered already does no harm, and a fault whose
/// address space has ended is forgotten.
/// </para>
/// </remarks>
internal sealed unsafe class Pager : IDisposable
{
    /// <summary>Faults read in one call.</summary>
    private const int MaximumMessages = 16;

    private const int MaximumEvents = 16;

    /// <summary>
    /// A page that is missing to a thread although the enclave has it, so many times in a row: the program itself took it out of the file.
    /// </summary>
    private const int LostAfter = 64;

    /// <summary>Threads whose last fault is remembered; when there are more, all are forgotten.</summary>
    private const int MaximumThreads = 4096;

    private static readonly TimeSpan s_longestWait = TimeSpan.FromMilliseconds(20);

    private readonly SgxSubsystem _subsystem;
    private readonly FaultVerdicts _verdicts;
    private readonly ITrace? _trace;
    private readonly ProcessorFollower _follower = new();
    private readonly ProcessorFollower _reclaimerFollower = new();
    private readonly List<PendingFault> _pending = [];
    private readonly Dictionary<(ulong Space, int Tid), (ulong Page, int Count)> _repeated = [];
    private readonly Lock _gate = new();
    private readonly Dictionary<ulong, SpacePaging> _spaces = [];
    private readonly int _epoll;
    private readonly int _stop;
    private Thread? _thread;
    private ulong _nextKey = StopKey + 1;
    private uint _served;

    private const ulong StopKey = 0;

    internal Pager(SgxSubsystem subsystem, FaultVerdicts verdicts, ITrace? trace)
    {
        _trace = trace;
        _subsystem = subsystem;
        subsystem.Reclaimer.Woken = () => _reclaimerFollower.MoveTo(_follower.Current); // on the reclaimer's thread
        _verdicts = verdicts;
        _epoll = (int)Libc.Syscall(SYS_epoll_create1, EPOLL_CLOEXEC);
        _stop = (int)Libc.Syscall(SYS_eventfd2, 0, EFD_CLOEXEC);
        if (_epoll < 0 || _stop < 0 || !Watch(_stop, StopKey))
        {
            throw new HostException($"cannot watch for page faults (epoll: errno {Libc.Errno})");
        }
    }

    /// <summary>Starts the thread.</summary>
    internal void Start()
    {
        _thread = new Thread(Run) { IsBackground = true, Name = "pager" };
        _thread.Start();
    }

    /// <summary>From now on faults of an address space are answered; false if they cannot be.</summary>
    internal bool Add(SpacePaging space)
    {
        lock (_gate)
        {
            space.PagerKey = _nextKey++;
            _spaces.Add(space.PagerKey, space);
            return Watch(space.Channel.Descriptor, space.PagerKey);
        }
    }

    /// <summary>An address space ends: before its channel is closed.</summary>
    internal void Remove(SpacePaging space)
    {
        lock (_gate)
        {
            if (_spaces.Remove(space.PagerKey))
            {
                _ = Libc.Syscall(SYS_epoll_ctl, _epoll, EPOLL_CTL_DEL, space.Channel.Descriptor, 0);
            }
        }
        _verdicts.End(space);
    }

    /// <summary>Ends the thread.</summary>
    public void Dispose()
    {
        ulong one = 1;
        _ = Libc.Write(_stop, &one, sizeof(ulong));
        _thread?.Join();
        _ = Libc.Close(_stop);
        _ = Libc.Close(_epoll);
    }

    private void Run()
    {
        EpollEvent* events = stackalloc EpollEvent[MaximumEvents];
        Span<FaultMessage> messages = stackalloc FaultMessage[MaximumMessages];
        while (true)
        {
            int timeout = _pending.Count > 0 ? 0 : _verdicts.Any ? FaultVerdicts.NudgeMilliseconds : -1;
            int count = (int)Libc.Syscall(SYS_epoll_pwait, _epoll, (nint)events, MaximumEvents, timeout, 0, sizeof(ulong));
            if (_verdicts.Any)
            {
                _verdicts.Nudge();
            }
            long progress = _subsystem.Reclaimer.Progress; // before any fault is handled: what comes after is not missed
            AnswerPending();
            for (int i = 0; i < count; i++)
            {
                if (events[i].Key == StopKey)
                {
                    return;
                }
                AnswerSpace(events[i].Key, messages);
            }
            if (_pending.Count > 0)
            {
                _ = _subsystem.Reclaimer.WaitForProgress(progress, s_longestWait);
            }
        }
    }

    private void AnswerSpace(ulong key, Span<FaultMessage> messages)
    {
        SpacePaging? space;
        lock (_gate)
        {
            _ = _spaces.TryGetValue(key, out space);
        }
        if (space is null)
        {
            return;
        }
        long stops = _verdicts.Stops; // before the faults are read, see FaultVerdict.Seen
        int count = space.Channel.Read(messages);
        for (int i = 0; i < count; i++)
        {
            if (messages[i].Event == UFFD_EVENT_PAGEFAULT)
            {
                _follower.Follow(messages[i].Tid, ref _served);
                PendingFault fault = new(space, messages[i], stops);
                if (!TryAnswer(fault))
                {
                    _pending.Add(fault);
                }
            }
        }
    }

    private void AnswerPending()
    {
        for (int i = _pending.Count - 1; i >= 0; i--)
        {
            if (TryAnswer(_pending[i]))
            {
                _pending.RemoveAt(i);
            }
        }
    }

    /// <summary>Answers a fault; false if it has to wait for the reclaimer.</summary>
    private bool TryAnswer(in PendingFault fault)
    {
        FaultChannel channel = fault.Space.Channel;
        ulong address = fault.Message.Address, page = address & ~(PageSize - 1);
        if (!fault.Space.Mappings.TryFind(address, out EnclaveMapping mapping) || fault.Space.Find(mapping.Owner) is not MappedEnclave mapped)
        {
            if (IsLost(fault, page))
            {
                // It is mapped all the same: threads of the program changed the same range at once, and we learned of it in another order.
                _verdicts.Add(Verdict(fault, FaultOutcome.Absent, isFinal: true));
            }
            else
            {
                channel.Wake(page); // unmapped meanwhile, or the address space has ended: the thread, if any, finds that out itself
            }
            return true;
        }
        mapped.Entered = 0; // no page of a program: the kernel maps none there
        HostTask.Faulting = fault.Message.Tid; // as its own process-id namespace names it
        FaultOutcome outcome = mapping.Owner.Enclave.HandleFault(address, mapping.Protection, mapped);
        if (outcome == FaultOutcome.Retry)
        {
            return false;
        }
        bool isWrite = (fault.Message.Flags & UFFD_PAGEFAULT_FLAG_WRITE) != 0;
        _trace?.Faulted(mapping.Owner.Enclave, address, isWrite ? "write" : "read", outcome, fault.Message.Tid);
        switch (outcome)
        {
            case FaultOutcome.Present:
                if (IsLost(fault, page))
                {
                    _verdicts.Add(Verdict(fault, outcome, isFinal: true));
                }
                else if (mapped.Entered != page)
                {
                    channel.Wake(page);
                }
                return true;
            default:
                _verdicts.Add(Verdict(fault, outcome, isFinal: false));
                return true;
        }
    }

    private static FaultVerdict Verdict(in PendingFault fault, FaultOutcome outcome, bool isFinal) => new(
        fault.Space,
        fault.Message.Tid,
        fault.Message.Address,
        (fault.Message.Flags & UFFD_PAGEFAULT_FLAG_WRITE) != 0,
        outcome == FaultOutcome.Refused,
        isFinal,
        fault.Stops);

    /// <summary>True when the same page was missing to the same thread again and again, and to it nothing in between.</summary>
    private bool IsLost(in PendingFault fault, ulong page)
    {
        if (_repeated.Count >= MaximumThreads)
        {
            _repeated.Clear();
        }
        ref (ulong Page, int Count) last = ref CollectionsMarshal.GetValueRefOrAddDefault(_repeated, (fault.Space.PagerKey, fault.Message.Tid), out _);
        last = (page, last.Page == page ? last.Count + 1 : 0);
        return last.Count >= LostAfter;
    }

    private bool Watch(int fd, ulong key)
    {
        EpollEvent e = new() { Events = EPOLLIN, Key = key };
        return Libc.Syscall(SYS_epoll_ctl, _epoll, EPOLL_CTL_ADD, fd, (nint)(&e)) == 0;
    }

    /// <summary>A fault and the number of the last stop before it was read.</summary>
    private readonly record struct PendingFault(SpacePaging Space, FaultMessage Message, long Stops);
}
