using System.Runtime.CompilerServices;
using SoftSgx.Host.Enclaves;
using SoftSgx.Host.Interop;
using SoftSgx.Host.Memory;
using SoftSgx.Host.Ptrace;
using SoftSgx.Host.Supervision;
using SoftSgx.Host.Tracing;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Monitor;

/// <summary>The monitor of one address space: memory that the supervisor shares with it, and what the supervisor knows of it besides.</summary>
/// <remarks>
/// The tracer alone uses it. Whatever is read from the shared memory may have been made up by the program: it is checked against what
/// is kept here, and where that does not help, believing it harms the program alone.
/// </remarks>
internal sealed unsafe class MonitorArea : IDisposable
{
    /// <summary>How far a jump with a displacement of 32 bits reaches, less the size of what it may lead to.</summary>
    private const ulong Reach = (1UL << 31) - (1UL << 20);

    /// <summary>Selector of the last of the three segments that a thread has to itself: GDT_ENTRY_TLS_MAX, privilege level 3.</summary>
    private const ushort ThreadSelector = (PtraceCalls.LastThreadSegment << 3) | 3;

    /// <summary>Where no program may map anything without special rights (vm.mmap_min_addr is at most that by default).</summary>
    private const ulong LowestAddress = 0x1_0000;
    private const ulong HighestAddress = 0x7FFF_0000_0000;

    private readonly byte* _memory;
    private readonly MonitorCode _common;
    private readonly TransitionLog? _log;
    private readonly TracedTcss? _tracedTcss;
    private readonly TransitionRing?[] _rings;
    private readonly List<ulong> _views = [];
    private readonly SortedList<int, MonitorSite> _sites = [];
    private readonly HashSet<ulong> _seen = [];
    private readonly TracedThread?[] _threads = new TracedThread?[MonitorLayout.RecordCount];
    private readonly (ulong Address, OpenEnclave Owner)[] _tcss = new (ulong, OpenEnclave)[MonitorLayout.RecordCount];
    private readonly Publication[] _published = new Publication[MonitorLayout.RecordCount];
    private int _end;
    private int _references = 1;

    private MonitorArea(byte* memory, MonitorCode common, TransitionLog? log)
    {
        _memory = memory;
        _common = common;
        _log = log;
        _tracedTcss = log is null ? null : new TracedTcss();
        _rings = log is null ? [] : new TransitionRing?[MonitorLayout.RecordCount];
    }

    /// <summary>Transitions of threads that have ended.</summary>
    internal TransitionCounts Ended;

    internal IReadOnlyList<ulong> Views => _views;

    internal IEnumerable<MonitorSite> Sites => _sites.Values;

    internal ref ThreadRecord Thread(int slot) => ref Unsafe.AsRef<ThreadRecord>(_memory + MonitorLayout.Threads + (slot * MonitorLayout.RecordSize));

    internal ref TcsRecord Tcs(int index) => ref Unsafe.AsRef<TcsRecord>(_memory + MonitorLayout.Tcss + (index * MonitorLayout.RecordSize));

    /// <summary>Makes one within reach of an address; null if there is no room or no memory.</summary>
    internal static MonitorArea? CreateNear(TracedThread thread, in InjectedCalls calls, ulong scratch, MonitorCode common, TransitionLog? log, ulong address)
    {
        ulong gap = FindGap(thread, address, common.Size, []);
        return gap == 0 ? null : Create(thread, calls, scratch, common, log, gap);
    }

    private static MonitorArea? Create(TracedThread thread, in InjectedCalls calls, ulong scratch, MonitorCode common, TransitionLog? log, ulong view)
    {
        Span<byte> name = stackalloc byte[16];
        name.Clear();
        "softsgx-monitor"u8.CopyTo(name);
        long fd = thread.Space.Memory.Poke(scratch, name) ? calls.Call(SYS_memfd_create, scratch, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC) : -EFAULT;
        if (fd == -EINVAL)
        {
            fd = calls.Call(SYS_memfd_create, scratch, MFD_CLOEXEC | MFD_ALLOW_SEALING); // before Linux 6.3
        }
        if (fd < 0)
        {
            return null;
        }
        MonitorArea? area = Create(thread, calls, (int)fd, common, log, view);
        _ = calls.Call(SYS_close, (ulong)fd);
        return area;
    }

    private static MonitorArea? Create(TracedThread thread, in InjectedCalls calls, int fd, MonitorCode common, TransitionLog? log, ulong view)
    {
        int own = ForeignDescriptor.TakeOver(thread.Tid, fd);
        if (own < 0)
        {
            return null;
        }
        nint memory = -1;
        // Sealed before the memory is touched: the program could cut the file short under it.
        if (Libc.FTruncate(own, common.Size) == 0 && Libc.Fcntl(own, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        {
            memory = Libc.MMap(0, (nuint)common.Size, PROT_READ | PROT_WRITE, MAP_SHARED, own, 0);
        }
        _ = Libc.Close(own);
        if (memory == -1)
        {
            return null;
        }
        MonitorArea area = new((byte*)memory, common, log);
        area.Fill();
        if (area.MapFirst(calls, fd, view))
        {
            return area;
        }
        area.Dispose();
        return null;
    }

    /// <summary>The same in a forked child: at the same addresses, with the same code, and nobody inside.</summary>
    internal bool CopyTo(TracedThread thread, in InjectedCalls calls, ulong scratch, out MonitorArea? copy)
    {
        copy = Create(thread, calls, scratch, _common, _log, _views[0]);
        if (copy is null)
        {
            return false;
        }
        new ReadOnlySpan<byte>(_memory + MonitorLayout.Code, MonitorLayout.Size - MonitorLayout.Code).CopyTo(new Span<byte>(copy._memory + MonitorLayout.Code, MonitorLayout.Size - MonitorLayout.Code));
        copy._end = _end;
        foreach ((int origin, MonitorSite site) in _sites)
        {
            copy._sites.Add(origin, site);
        }
        copy._seen.UnionWith(_seen);
        foreach (ulong view in _views[1..])
        {
            if (!copy.MapAgain(calls, view))
            {
                return false;
            }
        }
        return true;
    }

    /// <summary>The view, and the offset in it, that an address lies in.</summary>
    internal bool TryLocate(ulong address, out ulong view, out int offset)
    {
        foreach (ulong candidate in _views)
        {
            if (address - candidate < MonitorLayout.Size)
            {
                (view, offset) = (candidate, (int)(address - candidate));
                return true;
            }
        }
        (view, offset) = (0, 0);
        return false;
    }

    /// <summary>The site whose record is at an address; null if there is none.</summary>
    internal MonitorSite? SiteAt(ulong record) =>
        TryLocate(record, out ulong view, out int offset) && _sites.TryGetValue(offset, out MonitorSite? site) && site.View == view ? site : null;

    /// <summary>The site in whose code an offset lies; null if it is in none.</summary>
    internal MonitorSite? SiteAround(int offset)
    {
        int low = 0, high = _sites.Count;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (_sites.Keys[middle] + SiteRecord.Bytes <= offset)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }
        return low == 0 ? null : _sites.Values[low - 1];
    }

    /// <summary>True if an ENCLU was looked at.</summary>
    internal bool HasSeen(ulong enclu) => _seen.Contains(enclu);

    /// <summary>True the first time that it is asked for an address; there is an end to how many it remembers.</summary>
    internal bool SeesFirst(ulong enclu) => _seen.Count < MonitorLayout.Size / 16 && _seen.Add(enclu);

    private int NextOrigin => (_end + 15) & ~15;

    /// <summary>Adds a site: assembles its code and makes it known. Null if there is no room for it, or it cannot be reached.</summary>
    /// <param name="view">The view, near the site.</param>
    /// <param name="stolen">The instructions before the ENCLU that its code begins with.</param>
    /// <param name="enclu">Where the code goes for what it does not do itself.</param>
    /// <param name="site">The site without what this finds out.</param>
    internal MonitorSite? Add(ulong view, ReadOnlySpan<Iced.Intel.Instruction> stolen, ulong enclu, MonitorSite site)
    {
        int origin = NextOrigin;
        SiteCode? code = SiteCode.Assemble(_common, view, origin, stolen, enclu);
        if (code is null || origin + SiteRecord.Bytes + code.Bytes.Length > MonitorLayout.Size)
        {
            return null;
        }
        Unsafe.AsRef<SiteRecord>(_memory + origin) = new SiteRecord
        {
            Return = site.Return,
            EntryCounter = (ulong)(site.IsVdso ? ThreadRecord.AtEntriesByVdso : ThreadRecord.AtEntriesBySite),
        };
        code.Bytes.CopyTo(new Span<byte>(_memory + origin + SiteRecord.Bytes, code.Bytes.Length));
        _end = origin + SiteRecord.Bytes + code.Bytes.Length;
        site = site with { View = view, Origin = origin, Rules = code.Rules };
        _sites.Add(origin, site);
        return site;
    }

    /// <summary>The view that the next site can be in; zero if there is none.</summary>
    /// <param name="start">Where its jump will be.</param>
    /// <param name="inner">Where the jump has to have traps.</param>
    internal ulong ViewFor(ulong start, ReadOnlySpan<int> inner)
    {
        ulong best = 0;
        foreach (ulong view in _views)
        {
            if (Distance(view, start) < Reach && (best == 0 || Distance(view, start) < Distance(best, start)) && MonitorSite.HasTraps(Displacement(view, start), inner))
            {
                best = view;
            }
        }
        return best;
    }

    /// <summary>Maps a view that the next site can be in. Zero if there is no room.</summary>
    internal ulong MapFor(TracedThread thread, in InjectedCalls calls, ulong start, ReadOnlySpan<int> inner)
    {
        ulong gap = FindGap(thread, start, MonitorLayout.Size, inner.IsEmpty ? [] : ViewsWithTraps(start, inner));
        return gap != 0 && MapAgain(calls, gap) ? gap : 0;
    }

    /// <summary>Every view from which the displacement of a jump to the next site has traps in its upper half.</summary>
    private List<ulong> ViewsWithTraps(ulong start, ReadOnlySpan<int> inner)
    {
        List<ulong> views = [];
        ulong lowest = start - (1UL << 31) & ~(MonitorLayout.Alignment - 1);
        for (ulong i = 0; i < 1UL << 32; i += MonitorLayout.Alignment)
        {
            ulong view = lowest + i;
            if (view - LowestAddress < HighestAddress && Distance(view, start) < Reach && MonitorSite.HasTraps(Displacement(view, start), inner))
            {
                views.Add(view);
            }
        }
        return views;
    }

    /// <summary>The displacement of a jump to the next site.</summary>
    private int Displacement(ulong view, ulong start) => unchecked((int)(view + (ulong)(NextOrigin + SiteRecord.Bytes) - start - MonitorSite.JumpLength));

    /// <summary>A record for a thread, unless it has one; false if there are no more.</summary>
    internal bool TryAttach(TracedThread thread)
    {
        if (thread.MonitorSlot != 0)
        {
            return true;
        }
        int slot = Array.IndexOf(_threads, null, 1);
        if (slot < 0 || !PtraceCalls.SetThreadSegment(thread.Tid, (uint)(slot * MonitorLayout.RecordSize)))
        {
            return false;
        }
        _threads[slot] = thread;
        Thread(slot) = default;
        if (_log is not null)
        {
            nint control = (nint)_memory + MonitorLayout.RingControls + (slot * MonitorLayout.RecordSize);
            nint events = (nint)_memory + MonitorLayout.Rings + (slot * MonitorLayout.RingSize);
            TransitionRing ring = new(control, events, _tracedTcss!, thread.Tid);
            _rings[slot] = ring;
            _log.Add(ring);
        }
        thread.MonitorSlot = slot;
        return true;
    }

    /// <summary>The thread ends, or leaves the address space.</summary>
    internal void Detach(TracedThread thread)
    {
        if (thread.MonitorSlot != 0)
        {
            Ended = Ended.Plus(Thread(thread.MonitorSlot));
            if (Ring(thread.MonitorSlot) is TransitionRing ring)
            {
                _log!.Remove(ring);
                _rings[thread.MonitorSlot] = null;
            }
            _threads[thread.MonitorSlot] = null;
            thread.MonitorSlot = 0;
        }
    }

    internal TransitionCounts Counts()
    {
        TransitionCounts counts = Ended;
        for (int slot = 1; slot < _threads.Length; slot++)
        {
            if (_threads[slot] is not null)
            {
                counts = counts.Plus(Thread(slot));
            }
        }
        return counts;
    }

    /// <summary>The record of a TCS, made if there is none; -1 if there is no room for it.</summary>
    internal int Place(ulong tcs, OpenEnclave owner, EnclaveMappings mappings)
    {
        int first = (MonitorCode.RecordOf(tcs) - MonitorLayout.Tcss) / MonitorLayout.RecordSize, free = -1;
        for (int index = first; index < Math.Min(first + MonitorCode.Probes, MonitorLayout.RecordCount); index++)
        {
            if (_tcss[index].Address == tcs && _tcss[index].Owner is not null)
            {
                _tcss[index].Owner = owner;
                return index;
            }
            bool isFree = _tcss[index].Owner is null
                || (Tcs(index).State == TcsRecord.Withheld && !(mappings.TryFind(_tcss[index].Address, out EnclaveMapping mapping) && ReferenceEquals(mapping.Owner, _tcss[index].Owner)));
            if (free < 0 && isFree)
            {
                free = index;
            }
        }
        if (free >= 0)
        {
            _tcss[free] = (tcs, owner);
        }
        return free;
    }

    /// <summary>The ring in which a thread tells of its transitions; null if nobody asks.</summary>
    internal TransitionRing? Ring(int slot) => _log is null ? null : _rings[slot];

    /// <summary>Threads may enter by the TCS of a record from now on.</summary>
    internal void Name(int index, ulong tcs, Kernel.Enclave enclave) => _log?.Name(_tracedTcss!, index, tcs, enclave.Base, enclave.Size);

    /// <summary>The TCS and the enclave of a record; false if it is free.</summary>
    internal bool TryGetTcs(int index, out ulong address, out OpenEnclave owner)
    {
        (address, owner) = _tcss[index];
        return owner is not null;
    }

    internal TracedThread? ThreadOf(ulong record) => _threads[(int)(record & (MonitorLayout.Alignment - 1)) / MonitorLayout.RecordSize];

    /// <summary>
    /// Takes a TCS away from the thread that is inside by it, to the supervisor; its number, or -1 if the thread is not inside by the monitor,
    /// or just came out.
    /// </summary>
    internal int TakeOver(int slot)
    {
        ulong tcs = Volatile.Read(ref Thread(slot).Tcs);
        if (tcs <= ThreadRecord.Refused)
        {
            return -1;
        }
        int index = TcsIndex(tcs);
        return TryGetTcs(index, out _, out _) && TakeFrom(index, slot) ? index : -1;
    }

    /// <summary>True if a thread has the TCS that its record names.</summary>
    internal bool HasTcs(int slot) => IsOwner(Volatile.Read(ref Tcs(TcsIndex(Thread(slot).Tcs)).State), slot);

    /// <summary>The number of the record of a TCS at an address, which may be made up.</summary>
    internal static int TcsIndex(ulong record) => (int)(record & (MonitorLayout.Alignment - 1)) / MonitorLayout.RecordSize;

    /// <summary>Takes the TCS of a record away from a thread; false if that does not have it.</summary>
    internal bool TakeFrom(int index, int slot)
    {
        ulong state = Volatile.Read(ref Tcs(index).State);
        return IsOwner(state, slot) && Interlocked.CompareExchange(ref Tcs(index).State, TcsRecord.Withheld, state) == state;
    }

    /// <summary>What was published of a TCS last.</summary>
    internal ref Publication Published(int index) => ref _published[index];

    /// <summary>True if a thread has resumed by a TCS since it was published: CSSA is one less than the model knows.</summary>
    internal bool IsResumed(int index) => _published[index].MayResume && Volatile.Read(ref Tcs(index).Resume) == 0;

    /// <summary>
    /// Of a thread from which a TCS was taken: true if its entry counts already; else it will not, and the thread turns to the supervisor.
    /// </summary>
    internal bool HasEntered(int slot) =>
        Interlocked.CompareExchange(ref Thread(slot).Tcs, ThreadRecord.Refused, 0) > ThreadRecord.Refused;

    internal static bool IsOwner(ulong state, int slot) =>
        state > TcsRecord.Ready && (state & (MonitorLayout.Alignment - 1)) == (ulong)(slot * MonitorLayout.RecordSize);

    private void Fill()
    {
        *(ushort*)(_memory + MonitorLayout.Threads + MonitorLayout.Selector) = ThreadSelector;
        for (int i = 0; i < MonitorLayout.RecordCount; i++)
        {
            // mov eax, [rip → CSSA]; jmp [rip → entry]
            byte* landing = _memory + MonitorLayout.Landings + (i * MonitorLayout.RecordSize);
            const int ToRecord = MonitorLayout.Tcss - MonitorLayout.Landings;
            (landing[0], landing[1]) = (0x8B, 0x05);
            *(int*)(landing + 2) = ToRecord + TcsRecord.AtCssa - 6;
            (landing[6], landing[7]) = (0xFF, 0x25);
            *(int*)(landing + 8) = ToRecord + TcsRecord.AtEntry - 12;

            // mov rcx, [rip → RCX]; jmp [rip → target]
            landing += MonitorLayout.ThreadLanding;
            const int ToThread = MonitorLayout.Threads - MonitorLayout.Landings - MonitorLayout.ThreadLanding;
            (landing[0], landing[1], landing[2]) = (0x48, 0x8B, 0x0D);
            *(int*)(landing + 3) = ToThread + ThreadRecord.AtRcx - 7;
            (landing[7], landing[8]) = (0xFF, 0x25);
            *(int*)(landing + 9) = ToThread + ThreadRecord.AtTarget - 13;
        }
        _common.Bytes.CopyTo(new Span<byte>(_memory + MonitorLayout.Code, MonitorLayout.Size - MonitorLayout.Code));
        _end = MonitorLayout.Code + _common.Bytes.Length;
    }

    private bool MapFirst(in InjectedCalls calls, int fd, ulong view)
    {
        const int Flags = MAP_SHARED | MAP_FIXED_NOREPLACE;
        if (calls.Call(SYS_mmap, view, MonitorLayout.DataSize, PROT_READ | PROT_WRITE, Flags, (ulong)fd, 0) != (long)view)
        {
            return false;
        }
        ulong code = view + MonitorLayout.DataSize;
        if (calls.Call(SYS_mmap, code, MonitorLayout.Size - MonitorLayout.DataSize, PROT_READ | PROT_EXEC, Flags, (ulong)fd, MonitorLayout.DataSize) != (long)code)
        {
            _ = calls.Call(SYS_munmap, view, MonitorLayout.DataSize);
            return false;
        }
        if (_common.IsTraced)
        {
            ulong rings = view + MonitorLayout.RingControls;
            if (calls.Call(SYS_mmap, rings, MonitorLayout.TracedSize - MonitorLayout.RingControls, PROT_READ | PROT_WRITE, Flags, (ulong)fd, MonitorLayout.RingControls) != (long)rings)
            {
                _ = calls.Call(SYS_munmap, view, MonitorLayout.Size);
                return false;
            }
            *(ulong*)(_memory + MonitorLayout.Threads + MonitorLayout.RingControlsAddress) = rings;
            *(ulong*)(_memory + MonitorLayout.Threads + MonitorLayout.RingsAddress) = view + MonitorLayout.Rings;
        }
        _ = calls.Call(SYS_madvise, view, (ulong)_common.Size, MADV_DONTFORK);
        _views.Add(view);
        return true;
    }

    /// <summary>Maps the first view once more: mremap of no bytes of a shared mapping makes another one of the same memory (mremap(2)).</summary>
    private bool MapAgain(in InjectedCalls calls, ulong view)
    {
        if (calls.Call(SYS_mmap, view, MonitorLayout.Size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, ulong.MaxValue, 0) != (long)view)
        {
            return false;
        }
        const int Move = 1; // MREMAP_MAYMOVE
        ulong first = _views[0];
        if (calls.Call(SYS_mremap, first, 0, MonitorLayout.DataSize, Move | MREMAP_FIXED, view) < 0
            || calls.Call(SYS_mremap, first + MonitorLayout.DataSize, 0, MonitorLayout.Size - MonitorLayout.DataSize, Move | MREMAP_FIXED, view + MonitorLayout.DataSize) < 0)
        {
            _ = calls.Call(SYS_munmap, view, MonitorLayout.Size);
            return false;
        }
        _ = calls.Call(SYS_madvise, view, MonitorLayout.Size, MADV_DONTFORK);
        _views.Add(view);
        return true;
    }

    /// <summary>
    /// Room for a view within reach of an address, but well away from it: what lies around an enclave, and around the last library, is where
    /// programs map things next, some of them at addresses that they take for free. Zero if there is none.
    /// </summary>
    /// <param name="thread">A thread of the program.</param>
    /// <param name="near">The address.</param>
    /// <param name="size">Bytes of the view.</param>
    /// <param name="views">The only views that will do; empty for any.</param>
    private static ulong FindGap(TracedThread thread, ulong near, int size, List<ulong> views)
    {
        const ulong Away = Reach / 2;
        List<(ulong Start, ulong End)> taken = [];
        foreach (MapsEntry entry in MemoryMap.Read(thread.Tid))
        {
            taken.Add((entry.Start, entry.End));
        }
        EnclaveMappings enclaves = thread.Space.Enclaves;
        for (int i = 0; i < enclaves.Count; i++)
        {
            Kernel.Enclave enclave = enclaves[i].Owner.Enclave;
            taken.Add((enclave.Base, enclave.Base + enclave.Size)); // also where nothing of it is mapped yet
        }
        taken.Sort();
        taken.Add((HighestAddress, HighestAddress));
        ulong best = 0, end = LowestAddress;
        foreach ((ulong start, ulong behind) in taken)
        {
            if (views.Count == 0)
            {
                best = Better(best, end, start, (ulong)size, near, near > Away ? near - Away : 0);
                best = Better(best, end, start, (ulong)size, near, near + Away);
            }
            foreach (ulong view in views)
            {
                ulong candidate = Better(best, end, start, (ulong)size, near, view);
                best = candidate == view ? view : best;
            }
            end = Math.Max(end, behind);
        }
        return best;
    }

    /// <summary>Of the best place so far and the place in a gap that is nearest to where it should be, the better one.</summary>
    private static ulong Better(ulong best, ulong start, ulong end, ulong size, ulong near, ulong wanted)
    {
        // A page is left free on either side, so that a stack that grows, or an overflow, does not reach it.
        const ulong Mask = MonitorLayout.Alignment - 1;
        ulong first = (start + PageSize + Mask) & ~Mask;
        if (end < PageSize + size || first > end - PageSize - size)
        {
            return best;
        }
        ulong last = (end - PageSize - size) & ~Mask;
        ulong candidate = Math.Clamp(wanted & ~Mask, first, last);
        ulong distance = Distance(candidate, near);
        return distance < Reach && (best == 0 || Misplacement(distance) < Misplacement(Distance(best, near))) ? candidate : best;
    }

    private static ulong Misplacement(ulong distance) => Distance(distance, Reach / 2);

    private static ulong Distance(ulong one, ulong other) => one > other ? one - other : other - one;

    /// <summary>Keeps the memory for a child that is still to copy it, until one more <see cref="Dispose"/>.</summary>
    internal MonitorArea Hold()
    {
        _references++;
        return this;
    }

    public void Dispose()
    {
        if (--_references == 0)
        {
            _ = Libc.MUnmap((nint)_memory, (nuint)_common.Size);
        }
    }
}

/// <summary>What the supervisor relies upon of what it wrote to a TCS's record, which the program can change.</summary>
/// <param name="Target">The entry point.</param>
/// <param name="FsBase">Base of FS after EENTER.</param>
/// <param name="GsBase">Base of GS after EENTER.</param>
/// <param name="Resume">Address of GPRSGX of the frame that ERESUME loads.</param>
/// <param name="MayResume">A thread may resume by it, or has done so and the model has not been told.</param>
internal readonly record struct Publication(ulong Target, ulong FsBase, ulong GsBase, ulong Resume, bool MayResume);

/// <summary>Transitions that needed no supervisor.</summary>
/// <param name="EntriesByVdso">Entries through the vDSO.</param>
/// <param name="EntriesBySite">Entries by patched sites.</param>
/// <param name="Exits">Exits by patched sites.</param>
/// <param name="Resumes">ERESUMEs.</param>
internal readonly record struct TransitionCounts(ulong EntriesByVdso, ulong EntriesBySite, ulong Exits, ulong Resumes)
{
    internal TransitionCounts Plus(in ThreadRecord record) =>
        new(EntriesByVdso + record.EntriesByVdso, EntriesBySite + record.EntriesBySite, Exits + record.Exits, Resumes);

    internal TransitionCounts Plus(in TransitionCounts other) =>
        new(EntriesByVdso + other.EntriesByVdso, EntriesBySite + other.EntriesBySite, Exits + other.Exits, Resumes + other.Resumes);
}
