using SoftSgx.Host.Interop;
using SoftSgx.Host.Paging;
using SoftSgx.Kernel;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Enclaves;

/// <summary>The memfd behind one opener of the enclave device, as the supervisor holds it.</summary>
/// <remarks>
/// The program holds the same inode, so its size is sealed before the supervisor touches a byte: without the seals a truncation
/// by the program would turn our next access into SIGBUS. Holes that the program punches only lose its own data.
/// </remarks>
internal sealed unsafe class EnclaveInode : IEnclaveInode
{
    private readonly HostEpcPlatform _platform;
    private readonly int _fd;
    private readonly bool _isCounted;
    private nint _view;
    private ulong _size;

    // Neighbouring pages that were evicted and are still in the file: see RemovePage.
    private ulong _removed, _removedLength;

    private EnclaveInode(HostEpcPlatform platform, int fd, FileIdentity identity, bool isCounted)
    {
        _isCounted = isCounted;
        _platform = platform;
        _fd = fd;
        Identity = identity;
    }

    /// <summary>The inode's identity, by which descriptors of any process are recognised.</summary>
    internal FileIdentity Identity { get; }

    /// <summary>Opens the inode behind descriptor <paramref name="fd"/> of a stopped thread; null if that fails.</summary>
    /// <param name="platform">Where frames are kept.</param>
    /// <param name="tid">The thread.</param>
    /// <param name="fd">Its descriptor.</param>
    /// <param name="isCounted">The program's open file counts as a writer, so its end can be seen.</param>
    internal static EnclaveInode? Open(HostEpcPlatform platform, int tid, int fd, bool isCounted)
    {
        int own;
        fixed (byte* path = ProcPath.OfDescriptor(tid, fd))
        {
            own = Libc.Open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK, 0);
        }
        if (own < 0)
        {
            return null;
        }
        // Another thread of the program may have put a file of its choice there meanwhile: only an unsealed memfd is a fresh device.
        int seals = Libc.Fcntl(own, F_GET_SEALS, 0);
        if (seals >= 0 && (seals & F_SEAL_SEAL) == 0 && FileIdentity.TryOf(own, out FileIdentity identity, out _))
        {
            return new EnclaveInode(platform, own, identity, isCounted);
        }
        _ = Libc.Close(own);
        return null;
    }

    /// <summary>True while any other open file of the inode exists: a descriptor, a mapping, or one in flight in a socket.</summary>
    /// <remarks>
    /// A write lease is granted only when the inode is open nowhere else (fcntl(2), F_SETLEASE), and mappings and messages hold
    /// their open file. That is the kernel's own reference count; no system call of the program needs to be watched for it.
    /// </remarks>
    internal bool IsReferencedByProgram
    {
        get
        {
            if (!_isCounted || Libc.Fcntl(_fd, F_SETLEASE, F_WRLCK) != 0)
            {
                return true;
            }
            _ = Libc.Fcntl(_fd, F_SETLEASE, F_UNLCK);
            return false;
        }
    }

    /// <inheritdoc/>
    public bool TrySetSize(ulong bytes)
    {
        if (bytes > long.MaxValue
            || Libc.FTruncate(_fd, (long)bytes) != 0
            || Libc.Fcntl(_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0
            // The program may have changed the size between the two calls: what counts is what is sealed.
            || !FileIdentity.TryOf(_fd, out _, out long size) || (ulong)size != bytes)
        {
            return false;
        }
        nint view = Libc.MMap(0, (nuint)bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, _fd, 0);
        if (view == -1)
        {
            return false;
        }
        _view = view;
        _size = bytes;
        return true;
    }

    /// <inheritdoc/>
    public void InsertPage(int epcPage, ulong offset)
    {
        CompleteRemovalOf(offset);
        _platform.SetFrame(epcPage, _view + (nint)offset);
    }

    /// <inheritdoc/>
    /// <remarks>
    /// Punching the hole zaps the page from every address space that maps it, the way the kernel's own truncation does. One hole of
    /// many pages costs far less than as many holes, so neighbours that are evicted together leave together.
    /// </remarks>
    public void RemovePage(int epcPage, ulong offset)
    {
        bool wasFrozen = TakeFrame(epcPage, offset);
        if (wasFrozen && _removedLength != 0 && offset == _removed + _removedLength)
        {
            _removedLength += PageSize;
            return;
        }
        CompleteRemovals();
        (_removed, _removedLength) = (offset, PageSize);
        if (!wasFrozen)
        {
            CompleteRemovals();
        }
    }

    /// <inheritdoc/>
    public void CompleteRemovals()
    {
        if (_removedLength != 0)
        {
            _ = Libc.FAllocate(_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (long)_removed, (long)_removedLength);
            _removedLength = 0;
        }
    }

    private void CompleteRemovalOf(ulong offset)
    {
        if (offset - _removed < _removedLength)
        {
            CompleteRemovals();
        }
    }

    /// <inheritdoc/>
    /// <remarks>
    /// A copy by pread, since reading through our view would enter the page, and its neighbours, into our own page tables: the hole
    /// that follows would have to take them out again.
    /// </remarks>
    public void Freeze(int epcPage, ulong offset)
    {
        nint copy = _platform.Staging.Rent();
        nint read = Libc.PRead(_fd, (void*)copy, (nuint)PageSize, (long)offset);
        if (read != (nint)PageSize)
        {
            throw new HostException($"reading an enclave's page back failed ({read}, errno {Libc.Errno})"); // a hole reads as zeros
        }
        _platform.SetFrame(epcPage, copy);
    }

    /// <inheritdoc/>
    public void Thaw(int epcPage, ulong offset)
    {
        TakeFrame(epcPage, offset);
        _platform.SetFrame(epcPage, _view + (nint)offset);
    }

    /// <inheritdoc/>
    public void Stage(int epcPage) => _platform.SetFrame(epcPage, _platform.Staging.Rent());

    /// <inheritdoc/>
    /// <remarks>
    /// UFFDIO_COPY makes the page, enters it into the faulting address space and wakes the thread, in one call. Where that cannot be (no
    /// such mapping any more, or the page was touched through one that was not registered yet), the page is written through the
    /// descriptor: shared memory keeps a new page locked until it is filled, so nobody sees half of it either.
    /// </remarks>
    public void Publish(int epcPage, ulong offset, IEnclaveAddressSpace? faulting)
    {
        CompleteRemovalOf(offset);
        nint buffer = _platform.FrameAddress(epcPage);
        if (faulting is not MappedEnclave mapped || !mapped.TryEnter(offset, buffer))
        {
            nint written = Libc.PWrite(_fd, (void*)buffer, (nuint)PageSize, (long)offset);
            if (written != (nint)PageSize)
            {
                throw new HostException($"no memory for a page of an enclave ({written}, errno {Libc.Errno})");
            }
        }
        _platform.SetFrame(epcPage, _view + (nint)offset);
        _platform.Staging.Return(buffer);
    }

    /// <inheritdoc/>
    public void Unstage(int epcPage)
    {
        nint buffer = _platform.FrameAddress(epcPage);
        _platform.SetFrame(epcPage, 0);
        _platform.Staging.Return(buffer);
    }

    /// <summary>Takes the frame away; a private one goes back to its pool, and then the answer is true.</summary>
    private bool TakeFrame(int epcPage, ulong offset)
    {
        nint frame = _platform.FrameAddress(epcPage);
        _platform.SetFrame(epcPage, 0);
        if (frame == 0 || frame == _view + (nint)offset)
        {
            return false;
        }
        _platform.Staging.Return(frame);
        return true;
    }

    public void Dispose()
    {
        if (_view != 0)
        {
            _ = Libc.MUnmap(_view, (nuint)_size);
            _view = 0;
        }
        _ = Libc.Close(_fd);
    }
}
