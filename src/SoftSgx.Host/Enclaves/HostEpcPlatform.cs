using SoftSgx.Host.Interop;
using SoftSgx.Kernel;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Enclaves;

/// <summary>Where the contents of EPC pages live on this host.</summary>
/// <remarks>
/// A regular page is a page of its enclave's memfd, which the program maps too: one copy of the data. SECS, TCS and version-array
/// pages live in an arena of the supervisor alone, one slot for each EPC page, so no mapping of theirs can exist in a program. The
/// arena is reserved, not committed: a slot costs memory only while it is in use. A regular page on its way in or out has a
/// staging buffer.
/// </remarks>
internal sealed unsafe class HostEpcPlatform : IEpcPlatform, IDisposable
{
    private readonly nint[] _frames;
    private readonly nint _arena;
    private readonly nuint _arenaBytes;

    internal HostEpcPlatform(int epcPages)
    {
        _frames = new nint[epcPages];
        _arenaBytes = (nuint)epcPages * (nuint)PageSize;
        _arena = Libc.MMap(0, _arenaBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (_arena == -1)
        {
            throw new HostException($"cannot reserve {_arenaBytes} bytes of address space for the EPC (mmap: errno {Libc.Errno}); choose a smaller --epc");
        }
    }

    /// <inheritdoc/>
    public Span<byte> Frame(int page)
    {
        nint frame = _frames[page];
        // A page without a frame is a bug of the kernel layer, which attaches or inserts before any leaf runs.
        return frame != 0 ? new Span<byte>((void*)frame, (int)PageSize) : throw new InvalidOperationException($"EPC page {page} has no contents.");
    }

    /// <inheritdoc/>
    public void AttachPrivate(int epcPage) => _frames[epcPage] = _arena + (nint)((ulong)epcPage * PageSize);

    /// <inheritdoc/>
    public void DetachPrivate(int epcPage)
    {
        _ = Libc.MAdvise(_frames[epcPage], (nuint)PageSize, MADV_DONTNEED);
        _frames[epcPage] = 0;
    }

    /// <inheritdoc/>
    public IBackingFile? CreateBacking(ulong bytes) => BackingFile.Create(bytes);

    /// <summary>Private frames for pages on their way in and out.</summary>
    internal StagingBuffers Staging { get; } = new();

    /// <summary>Points an EPC page at a page of an enclave's memfd, or at nothing (zero).</summary>
    internal void SetFrame(int epcPage, nint frame) => _frames[epcPage] = frame;

    /// <summary>Where an EPC page's contents are now; zero if it has none.</summary>
    internal nint FrameAddress(int epcPage) => _frames[epcPage];

    public void Dispose()
    {
        Staging.Dispose();
        _ = Libc.MUnmap(_arena, _arenaBytes);
    }
}
