using System.Runtime.InteropServices;
using Iced.Intel;
using SoftSgx.Architecture;
using SoftSgx.Host.Enclaves;
using SoftSgx.Host.Interop;
using SoftSgx.Host.Paging;
using SoftSgx.Host.Ptrace;
using SoftSgx.Host.Seccomp;
using SoftSgx.Host.Signals;
using SoftSgx.Host.Supervision;
using SoftSgx.Host.Tracing;
using SoftSgx.Kernel;
using SoftSgx.Processor;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Monitor;

/// <summary>The tracer's part in transitions without a trap: it sets them up, takes them back, and makes sense of threads that stop in them.</summary>
/// <remarks>
/// <para>
/// The model stays the truth. A thread that entered by the monitor is unknown to it until the thread stops, or somebody needs to know; then the
/// model executes the EENTER that happened, with the registers that it had (<see cref="Adopt"/>), and goes on from there.
/// </para>
/// <para>
/// A TCS can be entered by the monitor only while its record is ready. Everything that could change what EENTER would do takes that
/// back first (<see cref="Withdraw(AddressSpace)"/>): changes of mappings, SGX2 ioctls, a second address space. The next exit that the
/// supervisor sees makes it ready again.
/// </para>
/// </remarks>
internal sealed class ProgramMonitor
{
    private const int EncluLength = 3;

    /// <summary>JMP with a displacement of 32 bits.</summary>
    private const byte Jump = 0xE9;

    /// <summary>As many filters at most are added to a program: each costs every system call some nanoseconds.</summary>
    private const int MaximumCallTraps = 32;

    /// <summary>What of the extended state the monitor loads: x87, SSE, AVX and AVX-512. The rest concerns more than the thread's registers.</summary>
    private const ulong PlainState = 0xE7;

    private readonly SgxSubsystem _subsystem;
    private readonly ProgramImage _image;
    private readonly MonitorCode _common;
    private readonly TransitionLog? _log;
    private readonly List<AddressSpace> _spaces = [];
    private TransitionCounts _ended;
    private long _patchedSites, _resumes;

    /// <param name="subsystem">The model.</param>
    /// <param name="image">What programs get mapped.</param>
    /// <param name="log">Takes the transitions that threads make themselves; null if nobody looks.</param>
    internal ProgramMonitor(SgxSubsystem subsystem, ProgramImage image, TransitionLog? log)
    {
        _log = log;
        _common = MonitorCode.Assemble(isTraced: log is not null);
        _subsystem = subsystem;
        _image = image;
    }

    /// <summary>True if this machine lets programs read and write the bases of FS and GS (AT_HWCAP2, HWCAP2_FSGSBASE).</summary>
    internal static bool IsPossible => (Libc.GetAuxVal(AT_HWCAP2) & 2) != 0;

    /// <summary>ENCLUs that were patched.</summary>
    internal long PatchedSites => Interlocked.Read(ref _patchedSites);

    /// <summary>Transitions so far that needed no supervisor.</summary>
    internal TransitionCounts Counts
    {
        get
        {
            TransitionCounts counts = _ended;
            foreach (AddressSpace space in _spaces)
            {
                counts = counts.Plus(space.Monitor!.Counts());
            }
            return counts with { Resumes = (ulong)Interlocked.Read(ref _resumes) };
        }
    }

    /// <summary>An initialised enclave is mapped in an address space: its transitions may do without traps from now on.</summary>
    internal void Prepare(TracedThread thread, in InjectedCalls calls, OpenEnclave owner)
    {
        AddressSpace space = thread.Space;
        if (space.VdsoBase == 0 || !owner.Enclave.IsInitialized)
        {
            return;
        }
        Withdraw(owner);
        if (space.Monitor is null)
        {
            ulong aep = space.VdsoBase + (ulong)_image.Vdso.AepOffset;
            MonitorArea? area = MonitorArea.CreateNear(thread, calls, VdsoData.ScratchAddress(_image.DataArea(space)), _common, _log, aep);
            ulong back = space.VdsoBase + (ulong)_image.Vdso.TrapReturnOffset;
            MonitorSite? site = area?.Add(
                area.Views[0], [], space.VdsoBase + (ulong)_image.Vdso.TrapOffset, new MonitorSite(0, 0, [], aep, aep, back, IsVdso: true));
            if (site is null || !WriteJump(space, null, aep, site))
            {
                area?.Dispose();
                return;
            }
            space.Monitor = area;
            _spaces.Add(space);
        }
        TrapCalls(thread, calls, owner);
    }

    /// <summary>The first stop of a forked child, which inherited code that jumps to a monitor that it has not.</summary>
    internal void OnForked(TracedThread thread, in InjectedCalls calls)
    {
        AddressSpace space = thread.Space;
        MonitorArea parent = space.ParentMonitor!;
        space.ParentMonitor = null;
        using MonitorArea held = parent;
        if (parent.CopyTo(thread, calls, VdsoData.ScratchAddress(_image.DataArea(space)), out MonitorArea? area))
        {
            space.Monitor = area;
            _spaces.Add(space);
        }
        else
        {
            area?.Dispose();
            foreach (MonitorSite site in parent.Sites)
            {
                Restore(space, site);
            }
            for (int i = 0; i < space.Enclaves.Count; i++)
            {
                Unpatch(space.Enclaves[i].Owner, space);
            }
        }
        for (int i = 0; i < space.Enclaves.Count; i++)
        {
            Withdraw(space.Enclaves[i].Owner);
        }
    }

    /// <summary>A thread begins or goes on in an address space; or a child, before its first instruction.</summary>
    internal static void ForgetSegment(TracedThread thread)
    {
        if (thread.InheritsSegment)
        {
            thread.InheritsSegment = false;
            _ = PtraceCalls.ClearThreadSegment(thread.Tid);
        }
    }

    /// <summary>The thread ends or leaves its address space; it is outside of enclaves, or was given up.</summary>
    internal static void OnLeave(TracedThread thread) => thread.Space.Monitor?.Detach(thread);

    /// <summary>The last thread has left an address space.</summary>
    internal void OnEmpty(AddressSpace space)
    {
        if (space.Monitor is MonitorArea area)
        {
            Withdraw(space);
            _ended = _ended.Plus(area.Counts());
            _spaces.Remove(space);
            area.Dispose();
            space.Monitor = null;
        }
        space.ParentMonitor?.Dispose();
        space.ParentMonitor = null;
    }

    /// <summary>
    /// A thread stopped: brings it out of the monitor, and the model up to date. True if the stop was the monitor's own affair and the thread
    /// goes on.
    /// </summary>
    internal bool OnStop(TracedThread thread, WaitStatus status, ref SignalStop stop)
    {
        if (thread.MonitorSlot == 0 || thread.Space.Monitor is not MonitorArea area)
        {
            return false;
        }
        thread.NoteReturn();
        bool isSignal = status is { Event: 0, IsSyscallStop: false };
        if (isSignal || status.Event == PTRACE_EVENT_STOP)
        {
            if (!stop.TryGetRegs())
            {
                return false;
            }
            bool isForced = isSignal && stop.MayBeFault && stop.TryGetInfo() && stop.Info.IsSynchronousFault;
            if (area.TryLocate(stop.Regs.Rip, out _, out int offset) && offset >= MonitorLayout.Landings
                && TryRecover(area, thread, offset, ref stop.Regs, out Recovery how))
            {
                if (isForced && (how != Recovery.AtStolen || stop.Info is { Signal: SIGTRAP, Code: TRAP_TRACE }))
                {
                    return GoesOnAfterFault(thread, ref stop.Regs, stop.Info, how);
                }
                _ = PtraceCalls.SetRegs(thread.Tid, stop.Regs);
            }
        }
        AdoptIfInside(thread);
        return false;
    }

    /// <summary>
    /// The thread called by the monitor: it is to execute a leaf that the monitor could not. Its registers become those at the ENCLU.
    /// </summary>
    internal bool TryTakeCall(TracedThread thread, ref UserRegs regs, out MonitorSite site)
    {
        site = null!;
        if (thread.MonitorSlot == 0 || thread.Space.Monitor is not MonitorArea area
            || !area.TryLocate(regs.Rip, out _, out int offset) || (offset != _common.Called && offset != _common.CalledAnother) || area.SiteAt(area.Thread(thread.MonitorSlot).Site) is not MonitorSite found)
        {
            return false;
        }
        _ = TryRecover(area, thread, offset - 1, ref regs, out _);
        site = found;
        return true;
    }

    /// <summary>
    /// A thread left an enclave under the supervisor's eyes, or failed to enter: the next entry by that TCS may go without.
    /// </summary>
    internal void Publish(TracedThread thread, ulong tcs)
    {
        AddressSpace space = thread.Space;
        if (space.Monitor is not MonitorArea area || !space.Enclaves.TryFind(tcs, out EnclaveMapping mapping))
        {
            return;
        }
        OpenEnclave owner = mapping.Owner;
        if (!MayDoWithout(space, owner) || !area.TryAttach(thread))
        {
            return;
        }
        bool enters = _subsystem.TryDescribeEntry(owner.Enclave, thread.Processor, tcs, space, out EntryPoint entry);
        bool resumes = _subsystem.TryDescribeResumption(owner.Enclave, thread.Processor, tcs, space, out ResumptionPoint point) && (point.Xfrm & ~PlainState) == 0;
        if (!enters && !resumes)
        {
            return;
        }
        int index = area.Place(tcs, owner, space.Enclaves);
        if (index < 0)
        {
            return;
        }
        ref TcsRecord record = ref area.Tcs(index);
        if (record.State == TcsRecord.Withheld)
        {
            (record.Gpr, record.FsBase, record.GsBase, record.Entry, record.Cssa) = (entry.Gpr, entry.FsBase, entry.GsBase, entry.Target, entry.Cssa);
            (record.Resume, record.Xsave, record.Xfrm, record.NotXfrm, record.ResumedCssa) = resumes ? (point.Gpr, point.Xsave, point.Xfrm, ~point.Xfrm, point.Cssa) : default;
            record.ResumedGpr = enters ? record.Resume : 0; // the same frame
            area.Published(index) = new Publication(entry.Target, entry.FsBase, entry.GsBase, record.Resume, resumes);
            record.Key = tcs;
            area.Name(index, tcs, owner.Enclave);
            Volatile.Write(ref record.State, TcsRecord.Ready);
        }
    }

    /// <summary>The model is about to execute a leaf that names a TCS: whoever is inside by it is known to the model from now on.</summary>
    internal void Reveal(AddressSpace space, ulong tcs)
    {
        if (space.Monitor is MonitorArea area && space.Enclaves.TryFind(tcs, out EnclaveMapping mapping))
        {
            int index = area.Place(tcs, mapping.Owner, space.Enclaves);
            if (index >= 0)
            {
                Withdraw(space, index);
            }
        }
    }

    /// <summary>Nobody enters an enclave by the monitor until it is made ready again, and who is inside is known to the model.</summary>
    internal void Withdraw(OpenEnclave owner)
    {
        foreach (AddressSpace space in _spaces)
        {
            Withdraw(space, owner);
        }
    }

    /// <summary>The same for all enclaves in an address space.</summary>
    internal void Withdraw(AddressSpace space)
    {
        if (space.Monitor is not null)
        {
            Withdraw(space, owner: null);
        }
    }

    private void Withdraw(AddressSpace space, OpenEnclave? owner)
    {
        MonitorArea area = space.Monitor!;
        for (int i = 0; i < MonitorLayout.RecordCount; i++)
        {
            if (area.TryGetTcs(i, out _, out OpenEnclave other) && (owner is null || ReferenceEquals(other, owner)))
            {
                Withdraw(space, i);
            }
        }
    }

    /// <summary>
    /// An ENCLU trapped. If the instruction before it can be replaced by a jump to the monitor, it will not the next time: it enters or leaves
    /// there, or calls the supervisor without a signal.
    /// </summary>
    internal void Patch(TracedThread thread, in UserRegs regs)
    {
        AddressSpace space = thread.Space;
        ulong enclu = regs.Rip;
        if (space.Monitor is not MonitorArea area || area.HasSeen(enclu) || (regs.Eflags & Rflags.TF) != 0 || (area.ViewFor(enclu, []) == 0 && !WillSucceed(thread, regs)))
        {
            return; // a call cannot be injected where a signal may have to be delivered
        }
        bool isInside = space.Enclaves.TryFind(enclu, out EnclaveMapping mapping);
        OpenEnclave? owner = isInside ? mapping.Owner : null;
        if (isInside && !MayDoWithout(space, owner!))
        {
            return;
        }
        byte[] code = new byte[2 * SiteFinder.BytesAround];
        int before = ReadBefore(space, owner, enclu, code.AsSpan(0, SiteFinder.BytesAround));
        int read = before + Read(space, owner, enclu, code.AsSpan(before, SiteFinder.BytesAround));
        if (!SiteFinder.TryFind(code.AsSpan(0, read), enclu - (ulong)before, before, out Instruction[] stolen))
        {
            _ = area.SeesFirst(enclu);
            return;
        }
        ulong start = stolen[0].IP;
        int[] inner = MonitorSite.InnerOf(stolen);
        ulong view = area.ViewFor(start, inner);
        if (view == 0)
        {
            if (!WillSucceed(thread, regs))
            {
                return; // the next time perhaps
            }
            view = MapView(thread, regs, area, start, inner);
        }
        if (!area.SeesFirst(enclu))
        {
            return;
        }
        int length = (int)(enclu - start);
        MonitorSite? site = view == 0 ? null : area.Add(view, stolen, enclu, new MonitorSite(0, 0, [], start, enclu, enclu + EncluLength, IsVdso: false)
        {
            Original = code.AsSpan(before - length, length).ToArray(),
            Inner = inner,
        });
        if (site is not null)
        {
            Interlocked.Add(ref _patchedSites, WriteJump(space, owner, start, site) ? 1 : 0);
        }
    }

    /// <summary>The enclave's transitions may do without the supervisor: nobody else has it, and its system calls are stopped.</summary>
    private static bool MayDoWithout(AddressSpace space, OpenEnclave owner) =>
        !owner.IsDebugged && owner.Enclave.AddressSpaceCount == 1 && space.TrapsCallsOf(owner);

    private ulong MapView(TracedThread thread, in UserRegs regs, MonitorArea area, ulong start, ReadOnlySpan<int> inner)
    {
        using InjectedCalls calls = InjectedCalls.Begin(thread, _image.Gadget(thread.Space), regs);
        return area.MapFor(thread, calls, start, inner);
    }

    /// <summary>The leaf enters or leaves an enclave, and nothing is in its way: no signal will have to be delivered at this stop.</summary>
    private bool WillSucceed(TracedThread thread, in UserRegs regs)
    {
        switch ((EncluLeaf)(uint)regs.Rax)
        {
            case EncluLeaf.EENTER when !thread.Processor.InEnclave && thread.Space.Enclaves.TryFind(regs.Rbx, out EnclaveMapping mapping):
                Reveal(thread.Space, regs.Rbx);
                return _subsystem.TryDescribeEntry(mapping.Owner.Enclave, thread.Processor, regs.Rbx, thread.Space, out _);
            case EncluLeaf.EEXIT:
                return thread.Processor.InEnclave && regs.Rbx >> 47 == 0;
            default:
                return false;
        }
    }

    /// <summary>
    /// Where a thread goes on that came to a trap of a site: one that was there while the site was being written, or one where an instruction
    /// began that is under the jump now. Zero if the trap is none of ours.
    /// </summary>
    /// <param name="space">Its address space.</param>
    /// <param name="trap">Address of the trap.</param>
    internal static ulong BehindTrap(AddressSpace space, ulong trap)
    {
        Span<byte> now = stackalloc byte[MonitorSite.JumpLength];
        foreach (MonitorSite site in space.Monitor?.Sites ?? [])
        {
            int at = (int)(trap - site.Start);
            if (trap - site.Start >= MonitorSite.JumpLength || (at != 0 && !site.Inner.Contains(at)))
            {
                continue;
            }
            if (space.ReadCode(site.Start, now) != now.Length || now[at] != MonitorSite.Trap)
            {
                return trap; // it is gone: once more
            }
            bool isJump = now[0] == Jump && site.Start + MonitorSite.JumpLength + (ulong)BitConverter.ToInt32(now[1..]) == site.Code;
            return isJump ? site.CopyOf(trap) : 0; // any other is the program's, or a debugger's
        }
        return 0;
    }

    /// <summary>A debugger looks into an enclave: it finds the code that was built, and nobody enters it any more without the model.</summary>
    internal void Exclude(OpenEnclave owner)
    {
        if (!owner.IsDebugged)
        {
            owner.IsDebugged = true;
            Withdraw(owner);
            Unpatch(owner, newcomer: null);
        }
    }

    /// <summary>Another address space maps an enclave: what leads to the monitor of the first one goes.</summary>
    internal void Unpatch(OpenEnclave owner, AddressSpace? newcomer)
    {
        foreach (AddressSpace space in _spaces)
        {
            foreach (MonitorSite site in space == newcomer ? [] : space.Monitor!.Sites)
            {
                if (site.Original is byte[] original && space.Enclaves.TryFind(site.Start, out EnclaveMapping mapping) && ReferenceEquals(mapping.Owner, owner))
                {
                    _ = WriteCode(space, owner, site.Start, original.AsSpan(0, MonitorSite.JumpLength), site.Inner);
                }
            }
        }
    }

    // Threads enter and leave meanwhile: whoever has the TCS at the moment that it is taken away is the one who is inside.
    private void Withdraw(AddressSpace space, int index)
    {
        MonitorArea area = space.Monitor!;
        ref TcsRecord record = ref area.Tcs(index);
        ulong state = Volatile.Read(ref record.State);
        while (state != TcsRecord.Withheld)
        {
            ulong seen = Interlocked.CompareExchange(ref record.State, TcsRecord.Withheld, state);
            if (seen == state)
            {
                if (state != TcsRecord.Ready && area.ThreadOf(state) is TracedThread thread && MonitorArea.IsOwner(state, thread.MonitorSlot)
                    && area.HasEntered(thread.MonitorSlot))
                {
                    Adopt(area, thread, index);
                }
                else
                {
                    Settle(space, index);
                }
                return;
            }
            state = seen;
        }
    }

    /// <summary>The thread has ended: if it was inside by the monitor, the model has it inside now.</summary>
    internal void OnEnd(TracedThread thread)
    {
        if (thread.MonitorSlot == 0 || thread.Space.Monitor is not MonitorArea area)
        {
            return;
        }
        if (area.Ring(thread.MonitorSlot) is TransitionRing ring && area.Thread(thread.MonitorSlot).Tcs > ThreadRecord.Refused)
        {
            _log!.Drain(ring);
            if (!ring.HasEntered)
            {
                // It was about to enter, or has left: an entry that was not told has not happened.
                _ = area.TakeOver(thread.MonitorSlot);
                if (thread.Processor.InEnclave && area.Thread(thread.MonitorSlot).Entered == (byte)EncluLeaf.EENTER)
                {
                    TakeBack(thread);
                }
                return;
            }
            if (!thread.Processor.InEnclave && !area.HasTcs(thread.MonitorSlot) && ring.NextIsExit)
            {
                ring.Publish();
                return;
            }
        }
        AdoptIfInside(thread);
    }

    private void AdoptIfInside(TracedThread thread)
    {
        MonitorArea area = thread.Space.Monitor!;
        if (area.Ring(thread.MonitorSlot) is TransitionRing ring)
        {
            _log!.Drain(ring);
            ring.Forget();
        }
        int index = area.TakeOver(thread.MonitorSlot);
        if (index < 0)
        {
            thread.StackAtEntry = null;
            return;
        }
        Adopt(area, thread, index);
        area.Thread(thread.MonitorSlot).Tcs = ThreadRecord.Occupied; // as when it goes on, which it may not live to do
        thread.MaskAtEntry = 0; // as far as it matters, see TracedThread.MayEnterDirectly
    }

    /// <summary>
    /// Nobody is inside by a TCS, which the supervisor has: if somebody has resumed and left, the model does the same, for CSSA is one less since.
    /// </summary>
    private void Settle(AddressSpace space, int index)
    {
        MonitorArea area = space.Monitor!;
        if (area.IsResumed(index) && area.TryGetTcs(index, out ulong tcs, out OpenEnclave owner))
        {
            LogicalProcessor somebody = new(_subsystem.Processor.Configuration) { KeepsStack = true };
            RegisterFile file = new() { Rbx = tcs };
            if (_subsystem.AdoptResumption(owner.Enclave, somebody, file, space).IsSuccess)
            {
                file = new RegisterFile { Rax = (ulong)EncluLeaf.EEXIT };
                _ = _subsystem.CatchUp(owner.Enclave, somebody, ref file, space);
            }
            Interlocked.Increment(ref _resumes);
        }
        area.Published(index) = area.Published(index) with { MayResume = false };
    }

    /// <summary>The model executes the EENTER or ERESUME that the monitor did in its place.</summary>
    private void Adopt(MonitorArea area, TracedThread thread, int index)
    {
        if (thread.Processor.InEnclave || !area.TryGetTcs(index, out ulong tcs, out OpenEnclave owner))
        {
            return;
        }
        ref ThreadRecord record = ref area.Thread(thread.MonitorSlot);
        bool resumed = area.Published(index).MayResume && record.Entered == (byte)EncluLeaf.ERESUME;
        if (!resumed)
        {
            Settle(thread.Space, index);
        }
        RegisterFile file = new()
        {
            Rax = (ulong)EncluLeaf.EENTER,
            Rbx = tcs,
            Rcx = record.Aep,
            Rsp = thread.StackAtEntry?.Rsp ?? 0,
            Rbp = thread.StackAtEntry?.Rbp ?? 0,
            FsBase = record.HostFs,
            GsBase = record.HostGs,
        };
        // A thread that is running has written its stack down, or will.
        thread.Processor.KeepsStack = thread.StackAtEntry is null;
        thread.StackAtEntry = null;
        LeafResult result = resumed
            ? _subsystem.AdoptResumption(owner.Enclave, thread.Processor, file, thread.Space)
            : _subsystem.CatchUp(owner.Enclave, thread.Processor, ref file, thread.Space);
        thread.Processor.KeepsStack = false;
        if (result.IsSuccess)
        {
            thread.Inside = owner;
        }
        Interlocked.Add(ref _resumes, resumed ? 1 : 0);
        area.Published(index) = area.Published(index) with { MayResume = false };
        thread.MayEnterDirectly = true;
    }

    /// <summary>Undoes an EENTER that the model executed for a thread that was about to enter, and does not now.</summary>
    private void TakeBack(TracedThread thread)
    {
        if (thread.Inside is OpenEnclave owner)
        {
            RegisterFile file = new() { Rax = (ulong)EncluLeaf.EEXIT };
            _ = _subsystem.CatchUp(owner.Enclave, thread.Processor, ref file, thread.Space);
            thread.Inside = null;
        }
    }

    /// <summary>
    /// A thread whose fault in the monitor is not to be seen at the instruction that it stands for: one on memory that the monitor uses, or
    /// a single step. True if it goes on without a signal.
    /// </summary>
    /// <param name="thread">The thread; its registers are still those in the monitor.</param>
    /// <param name="recovered">Its registers at the ENCLU, or behind it.</param>
    /// <param name="info">The signal.</param>
    /// <param name="how">How they were recovered.</param>
    private bool GoesOnAfterFault(TracedThread thread, ref UserRegs recovered, in SigInfo info, Recovery how)
    {
        bool isStep = info is { Signal: SIGTRAP, Code: TRAP_TRACE };
        if (how == Recovery.AtStolen && IsFirst(thread.Space, recovered.Rip))
        {
            // The step was that of the jump, which is none of the program's instructions: on to the one in its place.
            if (!PtraceCalls.GetRegs(thread.Tid, out recovered))
            {
                return true;
            }
        }
        else
        {
            if (how is not (Recovery.Entered or Recovery.Resumed) && recovered.Rip == thread.Space.VdsoBase + (ulong)_image.Vdso.AepOffset)
            {
                recovered.Rip = thread.Space.VdsoBase + (ulong)_image.Vdso.TrapOffset; // behind the jump, or it would end here again
            }
            if (isStep || how == Recovery.Left)
            {
                // A step that ends before or at the ENCLU, which will trap, or behind EENTER; or behind EEXIT, where the program itself has spoilt
                // its record.
                _ = PtraceCalls.SetRegs(thread.Tid, recovered);
                AdoptIfInside(thread);
                return false;
            }
        }
        // The ENCLU is untouched: it traps, and the supervisor does all of it anew and finds what is wrong. If the leaf has completed, what the
        // monitor stumbled over is not the enclave's affair.
        ForcedSignal forced = ForcedSignal.At(thread, info.Signal);
        _ = forced.Undo(thread, _image, ref recovered);
        if (PtraceCalls.SetRegs(thread.Tid, recovered))
        {
            AdoptIfInside(thread);
            _ = thread.Continue();
        }
        return true;
    }

    private static bool IsFirst(AddressSpace space, ulong address) => space.Monitor!.Sites.Any(site => site.Start == address);

    /// <summary>Gives a thread that stopped at an offset of the monitor the registers that it had at the ENCLU, or behind it.</summary>
    private bool TryRecover(MonitorArea area, TracedThread thread, int offset, ref UserRegs regs, out Recovery how)
    {
        ref ThreadRecord record = ref area.Thread(thread.MonitorSlot);
        how = Recovery.AtEnclu;
        MonitorSite? site;
        RecoveryPoint rule;
        if (offset >= MonitorLayout.Code + _common.Bytes.Length)
        {
            site = area.SiteAround(offset);
            if (site is null)
            {
                return false;
            }
            rule = RuleAt(site.Rules, offset - site.Origin - SiteRecord.Bytes);
        }
        else
        {
            site = area.SiteAt(record.Site);
            rule = offset >= MonitorLayout.Code
                ? RuleAt(_common.Rules, offset - MonitorLayout.Code)
                : _common.LandingAt(offset);
        }
        bool isZero = (regs.Eflags & Rflags.ZF) != 0;
        how = rule.Kind switch
        {
            Recovery.LeftIfZero => isZero ? Recovery.Left : Recovery.SavedRsi,
            Recovery.EnteredIfZero => isZero ? Recovery.Entered : Recovery.Taken,
            _ => rule.Kind,
        };
        if (site is null)
        {
            return false;
        }
        ulong leaf = (ulong)rule.Operand;
        switch (how)
        {
            case Recovery.AtStolen:
                regs.Rip = site.Start + leaf;
                return true;
            case Recovery.AtEnclu:
                break;
            case Recovery.Exchanged:
                (regs.Rax, regs.Rcx) = (regs.Rcx + leaf, regs.Rax);
                break;
            case Recovery.Named:
            case Recovery.NamedZeroClear:
            case Recovery.NamedZeroSet:
            case Recovery.NamedZeroKept:
                (regs.Rax, regs.Rcx) = (leaf, regs.Rax);
                regs.Eflags = how switch
                {
                    Recovery.NamedZeroClear => regs.Eflags & ~Rflags.ZF,
                    Recovery.NamedZeroSet => regs.Eflags | Rflags.ZF,
                    Recovery.NamedZeroKept => (regs.Eflags & ~Rflags.ZF) | (record.Zero & Rflags.ZF),
                    _ => regs.Eflags,
                };
                break;
            case Recovery.Saved or Recovery.CallingAnother:
                if (how == Recovery.CallingAnother)
                {
                    (regs.R10, regs.R11, regs.OrigRax) = (record.R10, record.R11, ulong.MaxValue);
                }
                (regs.Rax, regs.Rcx) = (record.Leaf, record.Rcx);
                regs.Eflags = (regs.Eflags & ~Rflags.ZF) | (record.Zero & Rflags.ZF);
                break;
            case Recovery.Left or Recovery.LeftAndTold:
                if (how == Recovery.Left)
                {
                    area.Ring(thread.MonitorSlot)?.Publish();
                }
                how = Recovery.Left;
                Leave(record, ref regs);
                record.Tcs = 0;
                return true;
            case Recovery.Entered or Recovery.EnteredAndTold:
                if (how == Recovery.Entered)
                {
                    area.Ring(thread.MonitorSlot)?.Publish();
                }
                how = Recovery.Entered;
                Enter(area, site, record, ref regs);
                thread.StackAtEntry = (regs.Rsp, regs.Rbp);
                if (thread.Processor.InEnclave)
                {
                    TakeBack(thread); // it was adopted while it ran
                    Adopt(area, thread, MonitorArea.TcsIndex(record.Tcs));
                }
                return true;
            case Recovery.Resumed or Recovery.ResumedAndTold:
                if (how == Recovery.Resumed)
                {
                    area.Ring(thread.MonitorSlot)?.Publish();
                }
                how = Recovery.Resumed;
                Resume(area, record, ref regs);
                return true;
            default:
                RecoverSaved(area, thread, how, leaf, ref regs);
                break;
        }
        regs.Rip = site.Enclu;
        return true;
    }

    private void RecoverSaved(MonitorArea area, TracedThread thread, Recovery how, ulong leaf, ref UserRegs regs)
    {
        int slot = thread.MonitorSlot;
        ref ThreadRecord record = ref area.Thread(slot);
        if (how == Recovery.Taken)
        {
            GiveBack(area, slot, MonitorArea.TcsIndex(record.Landing));
        }
        else if (how == Recovery.Based)
        {
            int index = MonitorArea.TcsIndex(record.Landing);
            if (record.Tcs > ThreadRecord.Refused && thread.Processor.InEnclave)
            {
                // The model has been told of an ERESUME that loaded nothing: CSSA becomes what it was.
                _subsystem.Abandon(thread.Processor);
                thread.Inside = null;
            }
            GiveBack(area, slot, index);
            _ = area.TryGetTcs(index, out regs.Rbx, out _);
            (regs.FsBase, regs.GsBase) = (record.HostFs, record.HostGs);
            record.Tcs = 0;
        }
        if (how is Recovery.SavedRdx or Recovery.SavedRsi or Recovery.Taken or Recovery.Based)
        {
            regs.Rdx = record.Rdx;
        }
        if (how == Recovery.SavedRsi)
        {
            regs.Rsi = record.Rsi;
        }
        if (how == Recovery.Calling)
        {
            (regs.R10, regs.R11) = (record.R10, record.R11);
            leaf = record.Leaf;
        }
        if (how != Recovery.Asking)
        {
            regs.Rax = leaf;
        }
        regs.Rcx = record.Rcx;
        regs.Eflags = Flags(regs.Eflags, record);
        regs.OrigRax = ulong.MaxValue;
    }

    /// <summary>A TCS that a thread took, but did not enter by.</summary>
    private static void GiveBack(MonitorArea area, int slot, int index)
    {
        ulong state = Volatile.Read(ref area.Tcs(index).State);
        if (MonitorArea.IsOwner(state, slot))
        {
            _ = Interlocked.CompareExchange(ref area.Tcs(index).State, TcsRecord.Ready, state);
        }
    }

    /// <summary>What EENTER leaves in the registers.</summary>
    private static void Enter(MonitorArea area, MonitorSite site, in ThreadRecord record, ref UserRegs regs)
    {
        int index = MonitorArea.TcsIndex(record.Tcs);
        Publication published = area.Published(index);
        (regs.Rax, regs.Rcx, regs.Rdx, regs.Rip) = (area.Tcs(index).Cssa, site.Return, record.Rdx, published.Target);
        (regs.FsBase, regs.GsBase) = (published.FsBase, published.GsBase);
        regs.Eflags = Flags(regs.Eflags, record);
    }

    /// <summary>What ERESUME leaves in the registers, but those of the extended state and FS and GS, which it loads first.</summary>
    private static void Resume(MonitorArea area, in ThreadRecord record, ref UserRegs regs)
    {
        int index = MonitorArea.TcsIndex(record.Tcs);
        GprSgx gpr = default;
        if (area.TryGetTcs(index, out _, out OpenEnclave owner))
        {
            _ = owner.Enclave.Read(area.Published(index).Resume, MemoryMarshal.AsBytes(new Span<GprSgx>(ref gpr)));
        }
        (regs.Rax, regs.Rcx, regs.Rdx, regs.Rbx) = (gpr.Rax, gpr.Rcx, gpr.Rdx, gpr.Rbx);
        (regs.Rsp, regs.Rbp, regs.Rsi, regs.Rdi) = (gpr.Rsp, gpr.Rbp, gpr.Rsi, gpr.Rdi);
        (regs.R8, regs.R9, regs.R10, regs.R11) = (gpr.R8, gpr.R9, gpr.R10, gpr.R11);
        (regs.R12, regs.R13, regs.R14, regs.R15) = (gpr.R12, gpr.R13, gpr.R14, gpr.R15);
        regs.Eflags = (regs.Eflags & ~EResume.RestoredFlags) | (record.Image & EResume.RestoredFlags);
        regs.Rip = record.Target;
    }

    private static void Leave(in ThreadRecord record, ref UserRegs regs)
    {
        (regs.FsBase, regs.GsBase) = (record.HostFs, record.HostGs);
        (regs.Rax, regs.Rcx, regs.Rdx, regs.Rsi) = ((ulong)EncluLeaf.EEXIT, record.Aep, record.Rdx, record.Rsi);
        regs.Eflags = Flags(regs.Eflags, record);
        regs.Rip = regs.Rbx;
    }

    private static ulong Flags(ulong flags, in ThreadRecord record)
    {
        const ulong LowByte = 0x95; // SF, AF, PF, CF
        return (flags & ~Rflags.Arithmetic) | ((ulong)(record.Flags >> 8) & LowByte) | (record.Zero & Rflags.ZF) | ((ulong)(record.Flags & 1) << 11);
    }

    private static RecoveryPoint RuleAt(RecoveryPoint[] rules, int offset)
    {
        int index = Array.FindLastIndex(rules, rule => rule.Offset <= offset);
        return index < 0 ? new RecoveryPoint(0, Recovery.AtEnclu, 0) : rules[index];
    }

    /// <summary>Has every system call stopped that the enclave's code makes; the enclave has no transitions without a trap where that fails.</summary>
    private void TrapCalls(TracedThread thread, in InjectedCalls calls, OpenEnclave owner)
    {
        AddressSpace space = thread.Space;
        Enclave enclave = owner.Enclave;
        if (space.TrapsCallsOf(owner) || space.CallTraps.Count >= MaximumCallTraps)
        {
            return;
        }
        if (_image.AddFilter(space, calls, EnclaveCallFilter.Assemble(enclave.Base, enclave.Size)) == 0)
        {
            space.CallTraps.Add(new AddressRange(enclave.Base, enclave.Size));
        }
    }

    private static void Restore(AddressSpace space, MonitorSite site)
    {
        if (site.IsVdso)
        {
            _ = space.Memory.Poke(site.Start, Vdso.VdsoEnterEnclave.PatchArea);
        }
        else if (site.Original is byte[] original && !space.Enclaves.TryFind(site.Start, out _))
        {
            _ = space.Memory.Poke(site.Start, original);
        }
    }

    /// <summary>
    /// Writes a jump over instructions that other threads may be about to execute. Over one of them, within eight aligned bytes, that is one
    /// store; else there are traps where instructions begin while the other bytes change, and every processor has been in the kernel in between.
    /// </summary>
    private static bool WriteJump(AddressSpace space, OpenEnclave? owner, ulong address, MonitorSite site)
    {
        long displacement = (long)(site.Code - (address + MonitorSite.JumpLength));
        if (displacement != (int)displacement || !MonitorSite.HasTraps((int)displacement, site.Inner))
        {
            return false;
        }
        Span<byte> jump = stackalloc byte[MonitorSite.JumpLength];
        jump[0] = Jump;
        _ = BitConverter.TryWriteBytes(jump[1..], (int)displacement);
        return WriteCode(space, owner, address, jump, site.Inner);
    }

    /// <param name="space">The address space.</param>
    /// <param name="owner">The enclave; null where the code is in none.</param>
    /// <param name="address">Where.</param>
    /// <param name="code">A jump, or what it replaced.</param>
    /// <param name="inner">Where instructions begin in what it replaced, but for the first.</param>
    private static bool WriteCode(AddressSpace space, OpenEnclave? owner, ulong address, ReadOnlySpan<byte> code, int[] inner)
    {
        int inWord = (int)(address % sizeof(ulong));
        if (inner.Length == 0 && inWord + code.Length <= sizeof(ulong))
        {
            Span<byte> word = stackalloc byte[sizeof(ulong)];
            if (Read(space, owner, address - (ulong)inWord, word) != word.Length)
            {
                return false;
            }
            code.CopyTo(word[inWord..]);
            return Write(space, owner, address - (ulong)inWord, word);
        }
        if (space.Threads == 1)
        {
            return Write(space, owner, address, code);
        }
        ReadOnlySpan<byte> trap = [MonitorSite.Trap];
        int[] beginnings = [0, .. inner];
        foreach (int at in beginnings)
        {
            if (!Write(space, owner, address + (ulong)at, trap))
            {
                return false;
            }
        }
        bool isWritten = Synchronize();
        for (int at = 0; at < code.Length; at++)
        {
            isWritten = isWritten && (beginnings.Contains(at) || Write(space, owner, address + (ulong)at, code.Slice(at, 1)));
        }
        isWritten = isWritten && Synchronize();
        foreach (int at in beginnings)
        {
            isWritten = isWritten && Write(space, owner, address + (ulong)at, code.Slice(at, 1));
        }
        return isWritten;
    }

    private static bool Synchronize() => Libc.Syscall(SYS_membarrier, 1 /* MEMBARRIER_CMD_GLOBAL */, 0, 0) == 0;

    private static int ReadBefore(AddressSpace space, OpenEnclave? owner, ulong address, Span<byte> destination)
    {
        int before = destination.Length;
        while (before > 0)
        {
            if (Read(space, owner, address - (ulong)before, destination[..before]) == before)
            {
                return before;
            }
            // From the next page boundary on.
            before -= (int)Math.Min((ulong)before, PageSize - ((address - (ulong)before) % PageSize));
        }
        return 0;
    }

    private static int Read(AddressSpace space, OpenEnclave? owner, ulong address, Span<byte> destination)
    {
        if (owner is null)
        {
            return space.Memory.ReadSome(address, destination);
        }
        int length = 0;
        while (length < destination.Length)
        {
            int read = owner.Enclave.Read(address + (ulong)length, destination[length..]);
            if (read == 0)
            {
                break;
            }
            length += read;
        }
        return length;
    }

    private static bool Write(AddressSpace space, OpenEnclave? owner, ulong address, ReadOnlySpan<byte> bytes)
    {
        if (owner is null)
        {
            return space.Memory.Poke(address, bytes);
        }
        int inPage = (int)Math.Min((ulong)bytes.Length, PageSize - (address % PageSize));
        return owner.Enclave.Patch(address, bytes[..inPage]) && (inPage == bytes.Length || owner.Enclave.Patch(address + (ulong)inPage, bytes[inPage..]));
    }
}
