using System.Globalization;
using SoftSgx.Host.Enclaves;
using SoftSgx.Host.Interop;
using SoftSgx.Host.Memory;
using SoftSgx.Host.Ptrace;
using SoftSgx.Host.Supervision;
using SoftSgx.Kernel;
using SoftSgx.Processor;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Paging;

/// <summary>The tracer's part in paging: what it sets up in address spaces, and the faults that it raises.</summary>
internal sealed class ProgramPaging
{
    /// <summary>An address that is none: where there is no page to raise SIGBUS with, the access to it at least raises a signal.</summary>
    private const ulong NonCanonical = 1UL << 63;

    private readonly ProgramImage _image;
    private readonly Pager _pager;
    private readonly Dictionary<int, AgeingProcess> _ageing = [];
    private readonly int _ownFilters = ProcStatus.SeccompFilters("self");

    internal ProgramPaging(ProgramImage image, Pager pager)
    {
        _image = image;
        _pager = pager;
    }

    /// <summary>Prepares an address space that is to use enclaves; zero or the errno of userfaultfd.</summary>
    internal int Prepare(TracedThread thread, in InjectedCalls calls)
    {
        AddressSpace space = thread.Space;
        FaultChannel? channel = FaultChannel.Create(thread, calls, out int errno);
        if (channel is null)
        {
            return errno;
        }
        AgeingPage? page = AgeingPage.Create(thread, calls, VdsoData.ScratchAddress(_image.DataArea(space)));
        space.Paging = new SpacePaging(thread.Tracer.Tid, space.Enclaves, channel, page, PresentPages.Open(thread.Tid));
        thread.Tracer.EnclaveSpaces++;
        return _pager.Add(space.Paging) ? 0 : EIO;
    }

    /// <summary>Prepares the address space of a forked child, which inherits mappings but none of what watches them. Before its first instruction.</summary>
    internal void PrepareFork(TracedThread thread, in InjectedCalls calls)
    {
        AddressSpace space = thread.Space;
        ForgetNotInherited(space, thread.Tid);
        if (space.Enclaves.Count == 0 || Prepare(thread, calls) != 0)
        {
            return;
        }
        for (int i = 0; i < space.Enclaves.Count; i++)
        {
            _ = space.Paging!.Channel.Register(space.Enclaves[i].Start, space.Enclaves[i].End);
            space.Paging.Add(space.Enclaves[i].Owner);
        }
        StartAgeing(thread, calls);
    }

    /// <summary>
    /// The parent may have kept mappings from its children (MADV_DONTFORK), or just replaced them: forgets where the child has nothing or
    /// something else.
    /// </summary>
    private static void ForgetNotInherited(AddressSpace space, int tid)
    {
        ulong end = 0;
        bool isReadable = false;
        foreach (MapsEntry entry in MemoryMap.Read(tid))
        {
            isReadable = true;
            if (entry is { IsPrivate: false, HasInode: true })
            {
                space.Enclaves.Remove(end, entry.Start);
                end = entry.End;
            }
        }
        if (isReadable)
        {
            space.Enclaves.Remove(end, ulong.MaxValue);
        }
    }

    /// <summary>Starts the ageing process of an address space in which an enclave exists, if it has none yet.</summary>
    internal void StartAgeing(TracedThread thread, in InjectedCalls calls)
    {
        if (thread.Space.Paging is not SpacePaging { AgeingIsDecided: false } paging)
        {
            return;
        }
        paging.AgeingIsDecided = true;
        if (paging.Page is AgeingPage page && paging.Present is not null && !IsSandboxed(thread))
        {
            paging.Ageing = AgeingProcess.Start(thread, calls, thread.Space.VdsoBase + (ulong)_image.Vdso.AgeingOffset, page);
            if (paging.Ageing is AgeingProcess ageing)
            {
                _ageing.Add(ageing.Tid, ageing);
            }
        }
    }

    /// <summary>The program has seccomp filters of its own: a new process might be what they kill it for.</summary>
    private bool IsSandboxed(TracedThread thread) =>
        ProcStatus.SeccompFilters(thread.Tid.ToString(CultureInfo.InvariantCulture)) 
            > _ownFilters + (thread.Space.HasEnclaveFilter ? 2 : 1) + thread.Watched.Filters + thread.Space.CallTraps.Count;

    /// <summary>The last thread has left an address space.</summary>
    internal void Leave(AddressSpace space, Tracer tracer)
    {
        if (space.Paging is SpacePaging paging)
        {
            _pager.Remove(paging);
            tracer.EnclaveSpaces--;
            if (paging.Ageing is AgeingProcess ageing)
            {
                _ageing.Remove(ageing.Tid);
            }
            paging.Dispose();
            space.Paging = null;
        }
    }

    /// <summary>True if a wait status is that of an ageing process, and handled.</summary>
    internal bool OnStatus(int tid, WaitStatus status)
    {
        if (!_ageing.TryGetValue(tid, out AgeingProcess? ageing))
        {
            return false;
        }
        ageing.OnStatus(status);
        if (!status.Stopped)
        {
            _ageing.Remove(tid);
        }
        return true;
    }

    /// <summary>
    /// The thread stopped because of its verdict: makes it execute an access that the kernel answers with SIGBUS or SIGSEGV, with all that
    /// forcing a signal brings with it. False if the verdict is void; then the thread goes on as it is.
    /// </summary>
    internal bool TryRaise(TracedThread thread, in FaultVerdict verdict)
    {
        AddressSpace space = thread.Space;
        if (thread.PreviousStop > verdict.Seen || verdict.Space != space.Paging
            || (!verdict.IsFinal && IsResolved(space, verdict.Address)) || !PtraceCalls.GetRegs(thread.Tid, out UserRegs regs)
            || !IsAtAccess(thread, regs, verdict.Address))
        {
            return false;
        }
        thread.RaisedRegs = regs;
        thread.RaisedAddress = verdict.Address;
        thread.IsRaising = true;
        regs.Rip = space.VdsoBase + (ulong)(verdict.IsWrite ? _image.Vdso.WriteByteOffset : _image.Vdso.ReadByteOffset);
        regs.Rdi = verdict.IsRefused ? AgeingPage.Forbidden(verdict.Address) : space.Paging.Page?.Beyond(verdict.Address) ?? NonCanonical;
        regs.OrigRax = ulong.MaxValue;
        return PtraceCalls.SetRegs(thread.Tid, regs) && thread.Continue();
    }

    /// <summary>
    /// The thread tried a system call inside an enclave, which was not executed: makes it execute an illegal instruction in its place.
    /// (SYSCALL leaves its own values in RCX and R11, which #UD would not.)
    /// </summary>
    internal void RaiseInvalidOpcode(TracedThread thread)
    {
        const int CallLength = 2; // SYSCALL, SYSENTER, INT n
        if (!PtraceCalls.GetRegs(thread.Tid, out UserRegs regs))
        {
            return;
        }
        regs.Rip -= CallLength;
        regs.Rax = regs.OrigRax;
        regs.OrigRax = ulong.MaxValue;
        thread.RaisedRegs = regs;
        thread.RaisedAddress = regs.Rip;
        thread.IsRaising = true;
        regs.Rip = thread.Space.VdsoBase + (ulong)_image.Vdso.IllegalOffset;
        if (PtraceCalls.SetRegs(thread.Tid, regs))
        {
            _ = thread.Continue();
        }
    }

    /// <summary>
    /// Has the kernel force SIGSEGV, SIGBUS, SIGILL, SIGFPE or SIGTRAP on a thread outside of enclaves, with the handler's view of registers and signal given. If
    /// another signal comes first the thread goes on without this one: it faults again.
    /// </summary>
    internal void Raise(TracedThread thread, UserRegs regs, in SigInfo info)
    {
        AddressSpace space = thread.Space;
        thread.RaisedRegs = regs;
        thread.RaisedInfo = info;
        thread.IsRaising = true;
        regs.Rip = space.VdsoBase + (ulong)(info.Signal switch
        {
            SIGILL => _image.Vdso.IllegalOffset,
            SIGTRAP => _image.Vdso.BreakpointOffset,
            SIGFPE => _image.Vdso.DivideOffset,
            _ => _image.Vdso.ReadByteOffset,
        });
        regs.Eflags &= ~Rflags.TF;
        regs.Rcx = 0;
        regs.Rdi = info.Signal == SIGBUS ? space.Paging?.Page?.Beyond(0) ?? NonCanonical : NonCanonical;
        regs.OrigRax = ulong.MaxValue;
        if (PtraceCalls.SetRegs(thread.Tid, regs))
        {
            _ = thread.Continue();
        }
    }

    /// <summary>
    /// The next stop after <see cref="TryRaise"/>, <see cref="RaiseInvalidOpcode"/> or <see cref="Raise"/> that is not PTRACE_EVENT_STOP: the
    /// thread is back at its access. The signal of the stop, which is the one raised if the access was reached, and otherwise comes first.
    /// </summary>
    /// <param name="thread">The thread.</param>
    /// <param name="status">Its stop.</param>
    /// <param name="isRaised">True after <see cref="Raise"/>, if the signal is that one: all that is left is to deliver it.</param>
    internal int EndRaise(TracedThread thread, WaitStatus status, out bool isRaised)
    {
        SigInfo? wanted = thread.RaisedInfo;
        thread.RaisedInfo = null;
        thread.IsRaising = false;
        isRaised = false;
        _ = PtraceCalls.SetRegs(thread.Tid, thread.RaisedRegs);
        if (status.Event != 0 || status.StopSignal is not (SIGBUS or SIGSEGV or SIGILL or SIGFPE or SIGTRAP) || !PtraceCalls.GetSigInfo(thread.Tid, out SigInfo info)
            || !info.IsSynchronousFault)
        {
            return status.StopSignal;
        }
        if (wanted is SigInfo known)
        {
            isRaised = PtraceCalls.SetSigInfo(thread.Tid, known);
            return known.Signal;
        }
        AgeingPage? page = thread.Space.Paging?.Page;
        SigInfo raised = new() { Signal = info.Signal, Address = thread.RaisedAddress };
        if (info.Signal == SIGSEGV && info.Address == AgeingPage.Forbidden(thread.RaisedAddress))
        {
            raised.Code = SEGV_ACCERR;
        }
        else if (page is null ? info.Code == SI_KERNEL : page.IsBeyond(info.Address))
        {
            // Also where the program has unmapped the page, or there is none: then it was a SIGSEGV, which looks like the other.
            (raised.Signal, raised.Code) = (SIGBUS, BUS_ADRERR);
        }
        else if (info.Signal == SIGILL && info.Address == thread.Space.VdsoBase + (ulong)_image.Vdso.IllegalOffset)
        {
            raised.Code = ILL_ILLOPN;
        }
        else
        {
            return status.StopSignal;
        }
        _ = PtraceCalls.SetSigInfo(thread.Tid, raised);
        return raised.Signal;
    }

    /// <summary>
    /// The thread is still at the access: another one may have let it go on meanwhile, which takes no stop. What an instruction accesses
    /// cannot always be told; one that comes to the same fault again is at it.
    /// </summary>
    private static bool IsAtAccess(TracedThread thread, in UserRegs regs, ulong address)
    {
        bool isAgain = thread.Doubted == (regs.Rip, address);
        thread.Doubted = default;
        if (isAgain || FaultDecoder.Accesses(thread.Space, regs, address))
        {
            return true;
        }
        thread.Doubted = (regs.Rip, address);
        return false;
    }

    private static bool IsResolved(AddressSpace space, ulong address) =>
        !space.Enclaves.TryFind(address, out EnclaveMapping mapping)
        || mapping.Owner.Enclave.HandleFault(address, mapping.Protection, space.Paging!.Find(mapping.Owner)) is FaultOutcome.Present or FaultOutcome.Retry;
}
