using System.Diagnostics;
using SoftSgx.Architecture;
using SoftSgx.Kernel.Tracing;
using SoftSgx.Processor;

namespace SoftSgx.Kernel;

/// <content>
/// How pages come back and go: faults, and what the reclaimer does to one enclave.
/// Behaviour: arch/x86/kernel/cpu/sgx/encl.c (sgx_encl_load_page, sgx_encl_eldu) and main.c (sgx_reclaimer_age, _block, _write).
/// </content>
public sealed partial class Enclave
{
    [ThreadStatic]
    private static byte[]? t_scratch;

    private readonly List<ulong> _beingReclaimed = []; // offsets, for address spaces that come meanwhile
    private readonly List<LogicalProcessor> _inside = [];
    private readonly BackingStore _backing;
    private IEnclaveAddressSpace[] _spaces = []; // replaced, never changed
    private PagingCounters _counters;
    private EvictedSecs? _evictedSecs;

    /// <summary>What paging did for this enclave so far.</summary>
    public PagingCounters Counters
    {
        get
        {
            lock (Lock)
            {
                PagingCounters counters = _counters;
                counters.EpcPages = EpcPagesHeld;
                counters.EnclavePages = _pages.Count;
                counters.VaPages = VersionArrays.Count;
                counters.BackingBytes = _backing.Bytes;
                counters.PeakBackingBytes = _backing.PeakBytes;
                return counters;
            }
        }
    }

    /// <summary>Slots of the version arrays that hold the version of a page that is out.</summary>
    internal int TakenSlots => VersionArrays.TakenSlots;

    /// <summary>
    /// An address space has come to map the enclave, perhaps by fork; or one that does has mapped more of it. Before the first access
    /// through the new mapping.
    /// </summary>
    /// <param name="space">The address space.</param>
    public void AddAddressSpace(IEnclaveAddressSpace space)
    {
        ArgumentNullException.ThrowIfNull(space);
        lock (Lock)
        {
            if (!_spaces.Contains(space))
            {
                _spaces = [.. _spaces, space];
            }

            // Pages that were zapped elsewhere and are not written out yet must not be reached by this way either.
            if (_beingReclaimed.Count > 0)
            {
                space.Zap(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(_beingReclaimed));
            }
        }
    }

    /// <summary>An address space maps the enclave no longer.</summary>
    /// <param name="space">The address space.</param>
    public void RemoveAddressSpace(IEnclaveAddressSpace space)
    {
        lock (Lock)
        {
            _spaces = [.. _spaces.Where(other => other != space)];
        }
    }

    /// <summary>
    /// Handles a page fault: loads the page if it is out. The access is then tried again, and may fault again. Never reclaims
    /// directly; wakes the reclaimer if the EPC is short.
    /// </summary>
    /// <param name="address">The address, anywhere in the page.</param>
    /// <param name="mapping">What the mapping asks; <see cref="PageProtection.None"/> skips the comparison with the page's maximum.</param>
    /// <param name="faulting">
    /// The address space that faulted; <see langword="null"/> for the processor's own accesses, which may be to a TCS.
    /// </param>
    /// <returns>What became of it.</returns>
    public FaultOutcome HandleFault(ulong address, PageProtection mapping, IEnclaveAddressSpace? faulting)
    {
        Subsystem.Reach(SchedulingPoint.Fault);
        lock (Lock)
        {
            _counters.Faults++;
            ulong offset = unchecked(address - Base) & ~(EpcPool.PageSize - 1UL);
            if (_dead || !_created || offset >= Size)
            {
                return FaultOutcome.Absent;
            }

            if (IsOutOfReach)
            {
                return FaultOutcome.NotInitialized;
            }

            if (!_pages.TryFind(offset / EpcPool.PageSize, out EnclavePage page))
            {
                FaultOutcome added = Augment(offset);
                return added == FaultOutcome.Present && faulting is not null ? FaultOutcome.Refused : added;
            }

            if ((mapping & PageProtection.Access & ~page.Maximum) != 0)
            {
                return FaultOutcome.Denied;
            }

            FaultOutcome outcome = MakePresent(in page, faulting);
            if (outcome == FaultOutcome.Present && faulting is not null && !page.IsPrivate)
            {
                faulting.Admit(offset);
            }

            return outcome == FaultOutcome.Present && faulting is not null && page.IsPrivate
                ? FaultOutcome.Refused
                : outcome;
        }
    }

    /// <summary>
    /// Reads the enclave's memory as the processor fetches instructions from it: a page that is out is loaded. At most to the end of the page.
    /// </summary>
    /// <param name="address">Any address.</param>
    /// <param name="destination">Receives the bytes.</param>
    /// <returns>
    /// The number of bytes: 0 if there is no page, none that a program can reach, or it cannot be loaded.
    /// </returns>
    public int Read(ulong address, Span<byte> destination)
    {
        while (true)
        {
            long seen = Subsystem.Reclaimer.Progress;
            lock (Lock)
            {
                ulong offset = unchecked(address - Base);
                if (_dead || !_created || offset >= Size || !_pages.TryFind(offset / EpcPool.PageSize, out EnclavePage page) || page.IsPrivate)
                {
                    return 0;
                }

                FaultOutcome outcome = MakePresent(in page, null);
                if (outcome == FaultOutcome.Present)
                {
                    _pages.TryFind(offset / EpcPool.PageSize, out page);
                    ReadOnlySpan<byte> rest = Subsystem.Platform.Frame(page.EpcPage)[(int)(offset % EpcPool.PageSize)..];
                    rest = rest[..Math.Min(rest.Length, destination.Length)];
                    rest.CopyTo(destination);
                    return rest.Length;
                }

                if (outcome != FaultOutcome.Retry)
                {
                    return 0;
                }
            }

            Subsystem.Reclaimer.WaitForProgress(seen, SgxSubsystem.Patience);
        }
    }

    /// <summary>Address spaces that map the enclave.</summary>
    public int AddressSpaceCount => Volatile.Read(ref _spaces).Length;

    /// <summary>
    /// Changes the enclave's code behind its back, as a debugger does that may write to read-only pages. A page that is out is loaded.
    /// </summary>
    /// <param name="address">Any address of a page that programs can reach.</param>
    /// <param name="bytes">What to write, within one page.</param>
    /// <returns>False if there is no such page, or not in the EPC.</returns>
    public bool Patch(ulong address, ReadOnlySpan<byte> bytes)
    {
        lock (Lock)
        {
            ulong offset = unchecked(address - Base);
            if (_dead || !_created || offset >= Size || (offset % EpcPool.PageSize) + (ulong)bytes.Length > EpcPool.PageSize
                || !_pages.TryFind(offset / EpcPool.PageSize, out EnclavePage page) || page.IsPrivate
                || MakePresent(in page, null) != FaultOutcome.Present || !_pages.TryFind(offset / EpcPool.PageSize, out page))
            {
                return false;
            }

            Span<byte> target = Subsystem.Platform.Frame(page.EpcPage)[(int)(offset % EpcPool.PageSize)..];
            if (bytes.Length == sizeof(ulong) && address % sizeof(ulong) == 0)
            {
                // In one store, since other threads may be executing these bytes.
                Volatile.Write(
                    ref System.Runtime.CompilerServices.Unsafe.As<byte, ulong>(ref target[0]), System.Runtime.InteropServices.MemoryMarshal.Read<ulong>(bytes));
            }
            else
            {
                bytes.CopyTo(target);
            }

            return true;
        }
    }

    /// <summary>A page was added and may be reclaimed. Under the lock.</summary>
    internal void OnAdded(int epcPage, ulong offset)
        => OnResident(offset / EpcPool.PageSize, epcPage);

    /// <summary>A logical processor entered or left the enclave. Under the lock.</summary>
    internal void OnTransition(LogicalProcessor logical)
    {
        if (logical.InEnclave)
        {
            _inside.Add(logical);
        }
        else
        {
            _inside.Remove(logical);
            Subsystem.Reclaimer.OnReleased();
        }
    }

    /// <summary>An EPC page suffered a memory failure: if it is a page of this enclave, nobody reaches it any more.</summary>
    internal void OnPoisoned(int epcPage, ulong index)
    {
        lock (Lock)
        {
            if (_pages.TryFind(index, out EnclavePage page) && page.EpcPage == epcPage && !page.IsLost && !page.IsBeingReclaimed)
            {
                Subsystem.Reclaimer.Remove(epcPage);
                Lose(in page);
            }
        }
    }

    /// <summary>Ages the pages of a batch that are this enclave's, and marks those that are to go.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="from">First page.</param>
    /// <param name="to">One behind the last.</param>
    /// <param name="kept">Where in the batch the marked pages are collected.</param>
    /// <returns>One behind the marked pages.</returns>
    internal int AgeAndMark(ReclaimBatch batch, int from, int to, int kept)
    {
        long start = Stopwatch.GetTimestamp();
        if (batch.Ages.AsSpan(from, to - from).Contains(true))
        {
            foreach (IEnclaveAddressSpace space in Volatile.Read(ref _spaces))
            {
                space.TestAndClearAccessed(batch.Offsets.AsSpan(from, to - from), batch.Accessed.AsSpan(from, to - from));
            }
        }

        lock (Lock)
        {
            _counters.AgeTime += Stopwatch.GetTimestamp() - start;
            for (int i = from; i < to; i++)
            {
                if (!TryFindCandidate(batch.Offsets[i], batch.EpcPages[i], out EnclavePage page))
                {
                    continue; // gone meanwhile, and returned to the pool by whoever took it
                }

                _counters.Ages += batch.Ages[i] ? 1 : 0;
                bool isYoung = batch.Ages[i] && batch.Accessed[i];
                bool isHeld = IsHeld(page.EpcPage);
                if (isYoung || isHeld)
                {
                    _counters.Young += isYoung ? 1 : 0;
                    Subsystem.Reclaimer.Keep(page.EpcPage, isHeld);
                    continue;
                }

                _pages.Update(page with { IsBeingReclaimed = true });
                _beingReclaimed.Add(page.Offset);
                batch.Copy(i, kept++);
            }
        }

        return kept;
    }

    /// <summary>Takes marked pages away from all address spaces and blocks them.</summary>
    internal void Block(ReclaimBatch batch, int from, int to)
    {
        long start = Stopwatch.GetTimestamp();
        // An address space that comes now zaps the marked pages itself.
        foreach (IEnclaveAddressSpace space in Volatile.Read(ref _spaces))
        {
            space.Zap(batch.Offsets.AsSpan(from, to - from));
        }

        Subsystem.Reach(SchedulingPoint.BatchZapped);
        lock (Lock)
        {
            for (int i = from; i < to; i++)
            {
                if (TryFindMarked(batch.Offsets[i], batch.EpcPages[i], out _))
                {
                    Subsystem.Encls.EBlock(batch.EpcPages[i]);
                }
            }

            _counters.EvictTime += Stopwatch.GetTimestamp() - start;
        }
    }

    /// <summary>Writes a marked and blocked page out, and the SECS when it was the last one in the EPC.</summary>
    internal void WriteBack(ulong offset, int epcPage)
    {
        Span<byte> contents = Scratch;
        lock (Lock)
        {
            if (!TryFindMarked(offset, epcPage, out EnclavePage page))
            {
                return;
            }

            _beingReclaimed.Remove(offset);
            if (Subsystem.Pool.IsPoisoned(epcPage))
            {
                Lose(in page);
                return;
            }

            if (!TryEvict(in page, contents))
            {
                _pages.Update(page with { IsBeingReclaimed = false });
                Subsystem.Reclaimer.Keep(epcPage, isHeld: false);
                return;
            }

            if (_resident == 0 && _initialized)
            {
                EvictSecs(contents);
            }
        }

        Subsystem.Reach(SchedulingPoint.PageWritten);
    }

    /// <summary>The enclave's pages of a batch are written out.</summary>
    /// <param name="start">When that began.</param>
    internal void CompleteEviction(long start)
    {
        lock (Lock)
        {
            if (!_inodeDisposed)
            {
                _inode.CompleteRemovals();
            }

            long ticks = Stopwatch.GetTimestamp() - start;
            _counters.EvictTime += ticks;
        }
    }

    private int EpcPagesHeld => _resident + VersionArrays.Count + (SecsPage == NoPage ? 0 : 1);

    /// <summary>4096 bytes of the calling thread for a page on its way between EPC and backing store.</summary>
    private static Span<byte> Scratch => t_scratch ??= new byte[EpcPool.PageSize];

    private FaultOutcome MakePresent(in EnclavePage page, IEnclaveAddressSpace? faulting)
    {
        if (page.IsResident)
        {
            return page.IsBeingReclaimed ? FaultOutcome.Retry
                : page.IsLost ? FaultOutcome.Poisoned
                : FaultOutcome.Present;
        }

        long start = Stopwatch.GetTimestamp();
        FaultOutcome outcome = SecsPage == NoPage ? LoadSecs() : FaultOutcome.Present;
        if (outcome == FaultOutcome.Present)
        {
            outcome = Load(in page, faulting);
        }

        if (outcome == FaultOutcome.Exhausted && _resident == 0 && SecsPage != NoPage && _initialized)
        {
            EvictSecs(Scratch); // alone it is of no use, and may be what others wait for
        }

        _counters.LoadTime += Stopwatch.GetTimestamp() - start;
        _counters.Failures += outcome == FaultOutcome.Corrupt ? 1 : 0;
        return outcome;
    }

    private FaultOutcome Load(in EnclavePage page, IEnclaveAddressSpace? faulting)
    {
        Span<byte> contents = Scratch;
        FaultOutcome outcome = Subsystem.TryAllocateForFault(page.Type, out int epcPage);
        if (outcome != FaultOutcome.Present)
        {
            return outcome;
        }

        ulong index = page.Offset / EpcPool.PageSize;
        bool isPrivate = page.IsPrivate;
        GiveFrame(epcPage, isPrivate);
        (int vaPage, int vaOffset) = VersionArrays.Locate(page.Slot);
        bool loaded = _backing.TryLoad(index, contents, out Pcmd pcmd)
            && pcmd.SecInfo.PageType == page.Type // a SECS or version array that somebody put there is not looked for here
            && Subsystem.Encls.ELdu(contents, in pcmd, Base + page.Offset, SecsPage, epcPage, vaPage, vaOffset).IsSuccess;
        if (!loaded)
        {
            TakeFrame(epcPage, isPrivate);
            Subsystem.Pool.Return(epcPage);
            return FaultOutcome.Corrupt;
        }

        VersionArrays.ReturnSlot(page.Slot);
        _backing.Drop(index);
        _pages.Update(page with { EpcPage = epcPage, Slot = -1 });
        _resident++;
        _counters.Loads++;
        Subsystem.Trace?.Moved("load", this, in page, epcPage);
        if (!isPrivate)
        {
            _inode.Publish(epcPage, page.Offset, faulting);
        }

        OnResident(index, epcPage);
        return FaultOutcome.Present;
    }

    private void OnResident(ulong index, int epcPage)
    {
        _counters.PeakEpcPages = Math.Max(_counters.PeakEpcPages, EpcPagesHeld);
        Subsystem.Reclaimer.Add(this, index, epcPage);
    }

    private FaultOutcome LoadSecs()
    {
        if (_evictedSecs is not { } evicted)
        {
            return FaultOutcome.Absent;
        }

        Span<byte> contents = Scratch;
        FaultOutcome outcome = Subsystem.TryAllocateForFault(PageType.PT_SECS, out int epcPage);
        if (outcome != FaultOutcome.Present)
        {
            return outcome;
        }

        GiveFrame(epcPage, isPrivate: true);
        (int vaPage, int vaOffset) = VersionArrays.Locate(evicted.Slot);
        bool loaded = _backing.TryLoad(_backing.SecsIndex, contents, out Pcmd pcmd)
            && pcmd.SecInfo.PageType == PageType.PT_SECS
            && Subsystem.Encls.ELdu(contents, in pcmd, evicted.LinearAddress, NoPage, epcPage, vaPage, vaOffset).IsSuccess;
        if (!loaded)
        {
            TakeFrame(epcPage, isPrivate: true);
            Subsystem.Pool.Return(epcPage);
            return FaultOutcome.Corrupt;
        }

        VersionArrays.ReturnSlot(evicted.Slot);
        _backing.Drop(_backing.SecsIndex);
        _evictedSecs = null;
        SecsPage = epcPage;
        _counters.SecsLoads++;
        Subsystem.Trace?.MovedSecs("load", this, epcPage);
        return FaultOutcome.Present;
    }

    private void GiveFrame(int epcPage, bool isPrivate)
    {
        if (isPrivate)
        {
            Subsystem.Platform.AttachPrivate(epcPage);
        }
        else
        {
            _inode.Stage(epcPage);
        }
    }

    private void TakeFrame(int epcPage, bool isPrivate)
    {
        if (isPrivate)
        {
            Subsystem.Platform.DetachPrivate(epcPage);
        }
        else
        {
            _inode.Unstage(epcPage);
        }
    }

    // The contents are gone, and the page table entries with them; the EPC page stays with the enclave until its end.
    private void Lose(in EnclavePage page)
    {
        Subsystem.Trace?.Moved("lose", this, in page, page.EpcPage);
        if (!page.IsPrivate)
        {
            _inode.RemovePage(page.EpcPage, page.Offset);
            _inode.CompleteRemovals();
            Subsystem.Platform.AttachPrivate(page.EpcPage); // a logical processor inside may still write to it
        }

        Subsystem.Platform.Frame(page.EpcPage).Clear();
        _pages.Update(page with { IsBeingReclaimed = false, IsLost = true, IsPrivate = true });
        _counters.Failures++;
    }

    private bool TryEvict(in EnclavePage page, Span<byte> contents)
    {
        ulong index = page.Offset / EpcPool.PageSize;
        bool isPrivate = page.IsPrivate;
        PageProtection permissions = StateOf(in page) & PageProtection.Access;
        int slot = VersionArrays.TakeSlot();
        (int vaPage, int vaOffset) = VersionArrays.Locate(slot);
        if (!isPrivate)
        {
            _inode.Freeze(page.EpcPage, page.Offset);
        }

        WriteTracked(contents, page.EpcPage, vaPage, vaOffset, out Pcmd pcmd, out ulong linearAddress);
        if (!_backing.TryStore(index, contents, in pcmd))
        {
            // No memory to swap to: the page comes back where it was.
            LeafResult back = Subsystem.Encls.ELdu(contents, in pcmd, linearAddress, SecsPage, page.EpcPage, vaPage, vaOffset);
            Debug.Assert(back.IsSuccess, "A page that was just written cannot be read back.");
            VersionArrays.ReturnSlot(slot);
            if (!isPrivate)
            {
                _inode.Thaw(page.EpcPage, page.Offset);
            }

            return false;
        }

        if (isPrivate)
        {
            Subsystem.Platform.DetachPrivate(page.EpcPage);
        }
        else
        {
            _inode.RemovePage(page.EpcPage, page.Offset);
        }

        _pages.Update(page with { EpcPage = NoPage, IsBeingReclaimed = false, Slot = slot, SavedPermissions = permissions });
        _resident--;
        _counters.Evictions++;
        Subsystem.Trace?.Moved("evict", this, in page, page.EpcPage);
        Subsystem.Reclaimer.OnEvicted(this, index, page.EpcPage);
        Subsystem.Pool.Return(page.EpcPage);
        return true;
    }

    /// <summary>EWB with the tracking that it asks for (sgx_encl_ewb in arch/x86/kernel/cpu/sgx/main.c).</summary>
    private void WriteTracked(
        Span<byte> contents, int epcPage, int vaPage, int vaOffset, out Pcmd pcmd, out ulong linearAddress)
    {
        IEncls encls = Subsystem.Encls;
        LeafResult result = encls.EWb(contents, out pcmd, out linearAddress, epcPage, vaPage, vaOffset);
        if (IsNotTracked(in result))
        {
            Track();
            result = encls.EWb(contents, out pcmd, out linearAddress, epcPage, vaPage, vaOffset);
            if (IsNotTracked(in result))
            {
                InterruptAll();
                result = encls.EWb(contents, out pcmd, out linearAddress, epcPage, vaPage, vaOffset);
            }
        }

        if (!result.IsSuccess)
        {
            throw new InvalidOperationException($"EWB of EPC page {epcPage} failed: {result}");
        }
    }

    private void Track()
    {
        LeafResult result = Subsystem.Encls.ETrack(SecsPage);
        _counters.ETracks++;
        if (!result.IsSuccess)
        {
            // Somebody is inside since before the last ETRACK; out with him, and that one is complete.
            InterruptAll();
            Subsystem.Encls.ETrack(SecsPage);
            _counters.ETracks++;
        }
    }

    /// <summary>
    /// Interrupts every logical processor inside. Their translations went when the pages were zapped, which interrupted them for good;
    /// what is left to do is what that interrupt means to the processor: an asynchronous exit, and the way back.
    /// </summary>
    private void InterruptAll()
    {
        Subsystem.Trace?.Interrupted(this, _inside.Count);
        foreach (LogicalProcessor logical in _inside)
        {
            logical.Interrupt(Subsystem.Processor);
            _counters.Kicks++;
        }
    }

    private static bool IsNotTracked(in LeafResult result)
        => result.Status == LeafStatus.Error && result.Error == SgxError.SGX_NOT_TRACKED;

    private void EvictSecs(Span<byte> contents)
    {
        int slot = VersionArrays.TakeSlot();
        (int vaPage, int vaOffset) = VersionArrays.Locate(slot);
        LeafResult result = Subsystem.Encls.EWb(contents, out Pcmd pcmd, out ulong linearAddress, SecsPage, vaPage, vaOffset);
        if (!result.IsSuccess)
        {
            throw new InvalidOperationException($"EWB of the SECS in EPC page {SecsPage} failed: {result}");
        }

        if (!_backing.TryStore(_backing.SecsIndex, contents, in pcmd))
        {
            LeafResult back = Subsystem.Encls.ELdu(contents, in pcmd, linearAddress, NoPage, SecsPage, vaPage, vaOffset);
            Debug.Assert(back.IsSuccess, "A SECS that was just written cannot be read back.");
            VersionArrays.ReturnSlot(slot);
            return;
        }

        Subsystem.Trace?.MovedSecs("evict", this, SecsPage);
        Subsystem.Platform.DetachPrivate(SecsPage);
        Subsystem.Pool.Return(SecsPage);
        SecsPage = NoPage;
        _evictedSecs = new EvictedSecs(slot, linearAddress);
        _counters.SecsEvictions++;
    }

    // What a logical processor inside reaches by physical address: its TCS and the pages of its SSA frame. On hardware every interrupt
    // touches them, so they are never old; here they must not go, because no interrupt makes the processor look them up again.
    private bool IsHeld(int epcPage)
    {
        foreach (LogicalProcessor logical in _inside)
        {
            if (logical.Holds(epcPage))
            {
                return true;
            }
        }

        return false;
    }

    private bool TryFindCandidate(ulong offset, int epcPage, out EnclavePage page)
        => _pages.TryFind(offset / EpcPool.PageSize, out page) && page.EpcPage == epcPage && !page.IsBeingReclaimed && !_dead;

    private bool TryFindMarked(ulong offset, int epcPage, out EnclavePage page)
        => _pages.TryFind(offset / EpcPool.PageSize, out page) && page.EpcPage == epcPage && page.IsBeingReclaimed && !_dead;

    /// <summary>Where the SECS is while it is out of the EPC.</summary>
    /// <param name="Slot">Its version-array slot.</param>
    /// <param name="LinearAddress">What EWB gave as its linear address.</param>
    private sealed record EvictedSecs(int Slot, ulong LinearAddress);
}
