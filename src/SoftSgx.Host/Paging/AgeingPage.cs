using SoftSgx.Host.Interop;
using SoftSgx.Host.Ptrace;
using SoftSgx.Host.Supervision;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Paging;

/// <summary>A page of memory that the supervisor shares with a program's address space, to command the ageing process there.</summary>
/// <remarks>
/// <code>
///   0  u32 number of the last command     supervisor writes, then wakes
///   4  u32 number of the last one done    ageing process writes, then wakes
///   8  u32 count of ranges
///  12  u32 operation: 0 drops page table entries, 1 is mprotect
///  16  name of the process
///  64  ranges: u64 start, u64 length; for mprotect the length's low three bits are the protection
/// </code>
/// Behind the page, in the program, lies one beyond the end of the file: whoever touches it gets SIGBUS. Everything in the page may
/// be changed by the program at any time: that misleads its own ageing and nothing else.
/// </remarks>
internal sealed unsafe class AgeingPage : IDisposable
{
    internal const int Command = 0, Done = 4, Count = 8, Operation = 12, Name = 16, Ranges = 64, RangeSize = 16;

    /// <summary>Operation that gives each range its protection.</summary>
    internal const uint Protect = 1;

    /// <summary>As many ranges as one command can have.</summary>
    internal const int MaximumRanges = ((int)PageSize - Ranges) / RangeSize;

    private readonly byte* _view;

    private AgeingPage(byte* view, ulong address)
    {
        _view = view;
        Address = address;
    }

    /// <summary>Where the page is in the program.</summary>
    internal ulong Address { get; }

    /// <summary>Where an access is SIGBUS in the program: an address in a page beyond the end of its file.</summary>
    internal ulong Beyond(ulong address) => Address + PageSize + (address % PageSize);

    /// <summary>Where an access is SIGSEGV in any program: an address of the kernel's half.</summary>
    internal static ulong Forbidden(ulong address) => 0xFFFF_8000_0000_0000 + (address % PageSize);

    /// <summary>True for addresses of <see cref="Beyond"/>.</summary>
    internal bool IsBeyond(ulong address) => address - (Address + PageSize) < PageSize;

    internal ref uint CommandWord => ref *(uint*)(_view + Command);

    internal ref uint DoneWord => ref *(uint*)(_view + Done);

    internal ref uint OperationWord => ref *(uint*)(_view + Operation);

    internal ref uint RangeCount => ref *(uint*)(_view + Count);

    /// <summary>The ranges of the next command.</summary>
    internal Span<AddressRange> RangeSpan => new(_view + Ranges, MaximumRanges);

    /// <summary>Makes one and maps it into the thread's address space, not to be inherited by forked children.</summary>
    /// <param name="thread">The thread.</param>
    /// <param name="calls">Calls that it makes.</param>
    /// <param name="scratch">Address of 16 bytes that can be poked.</param>
    internal static AgeingPage? Create(TracedThread thread, in InjectedCalls calls, ulong scratch)
    {
        Span<byte> name = stackalloc byte[16];
        name.Clear();
        "softsgx-paging"u8.CopyTo(name); // at most 15 bytes: also the name of the process
        if (!thread.Space.Memory.Poke(scratch, name))
        {
            return null;
        }
        long fd = calls.Call(SYS_memfd_create, scratch, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        if (fd < 0)
        {
            return null;
        }
        int own = ForeignDescriptor.TakeOver(thread.Tid, (int)fd);
        nint view = -1;
        long mapped = -1;
        // Sealed before the view is touched: the program could cut the file short under it.
        if (own >= 0 && Libc.FTruncate(own, (long)PageSize) == 0 && Libc.Fcntl(own, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        {
            view = Libc.MMap(0, (nuint)PageSize, PROT_READ | PROT_WRITE, MAP_SHARED, own, 0);
            mapped = calls.Call(SYS_mmap, 0, 2 * PageSize, PROT_READ | PROT_WRITE, MAP_SHARED, (ulong)fd, 0);
            _ = calls.Call(SYS_madvise, (ulong)mapped, 2 * PageSize, MADV_DONTFORK);
        }
        _ = calls.Call(SYS_close, (ulong)fd);
        if (own >= 0)
        {
            _ = Libc.Close(own);
        }
        if (view != -1 && mapped is >= 0 or < -4095)
        {
            name.CopyTo(new Span<byte>((void*)(view + Name), name.Length));
            return new AgeingPage((byte*)view, (ulong)mapped);
        }
        if (view != -1)
        {
            _ = Libc.MUnmap(view, (nuint)PageSize);
        }
        return null;
    }

    /// <summary>Wakes the ageing process.</summary>
    internal void WakeProcess() => _ = Libc.Syscall(SYS_futex, (nint)(_view + Command), FUTEX_WAKE, 1);

    /// <summary>Wakes the supervisor's thread that waits for the ageing process.</summary>
    internal void WakeWaiter() => _ = Libc.Syscall(SYS_futex, (nint)(_view + Done), FUTEX_WAKE, 1);

    /// <summary>Waits until the number of the last command done is not <paramref name="seen"/>, or for some nanoseconds.</summary>
    internal void WaitDone(uint seen, long nanoseconds)
    {
        long* timeout = stackalloc long[2] { 0, nanoseconds };
        _ = Libc.Syscall(SYS_futex, (nint)(_view + Done), FUTEX_WAIT, (nint)seen, (nint)timeout);
    }

    public void Dispose() => _ = Libc.MUnmap((nint)_view, (nuint)PageSize);
}
