using SoftSgx.Host.Interop;
using SoftSgx.Kernel;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Enclaves;

/// <summary>What an enclave's evicted pages are swapped to: a memfd of the supervisor, which no program ever sees.</summary>
/// <remarks>
/// It is mapped, so keeping a page and taking it back cost a copy each and no system call. For the same reason single pages are not
/// given back as they are loaded: they are likely to be written again soon, and there are never more of them than pages in the EPC.
/// What was truncated reads as anything until it is written again.
/// </remarks>
internal sealed unsafe class BackingFile : IBackingFile
{
    /// <summary>From this size on a range is worth a system call to give it back.</summary>
    private const ulong WorthGivingBack = 64 * PageSize;

    private readonly int _fd;
    private readonly ulong _bytes;
    private byte* _view;

    private BackingFile(int fd, byte* view, ulong bytes)
    {
        _fd = fd;
        _view = view;
        _bytes = bytes;
    }

    /// <summary>Makes an empty one; null if the host cannot have one of that size.</summary>
    internal static BackingFile? Create(ulong bytes)
    {
        int fd;
        fixed (byte* name = "sgx-backing\0"u8)
        {
            fd = (int)Libc.Syscall(SYS_memfd_create, (nint)name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
        }
        if (fd < 0)
        {
            return null;
        }
        // Others of the same user could open it by /proc: a file cut short would be the end of who touches the mapping.
        if (bytes <= long.MaxValue && Libc.FTruncate(fd, (long)bytes) == 0
            && Libc.Fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
        {
            nint view = Libc.MMap(0, (nuint)bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
            if (view != -1)
            {
                return new BackingFile(fd, (byte*)view, bytes);
            }
        }
        _ = Libc.Close(fd);
        return null;
    }

    /// <inheritdoc/>
    public bool TryWrite(ulong offset, ReadOnlySpan<byte> data)
    {
        data.CopyTo(At(offset, data.Length));
        return true;
    }

    /// <inheritdoc/>
    public bool TryRead(ulong offset, Span<byte> destination)
    {
        At(offset, destination.Length).CopyTo(destination);
        return true;
    }

    /// <inheritdoc/>
    public void Truncate(ulong offset, ulong length)
    {
        if (length >= WorthGivingBack)
        {
            _ = Libc.FAllocate(_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (long)offset, (long)length);
        }
    }

    public void Dispose()
    {
        if (_view != null)
        {
            _ = Libc.MUnmap((nint)_view, (nuint)_bytes);
            _view = null;
            _ = Libc.Close(_fd);
        }
    }

    // Within the file, which nobody can make shorter: the memory is there.
    private Span<byte> At(ulong offset, int length)
    {
        ObjectDisposedException.ThrowIf(_view == null, this);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset, _bytes - (ulong)length);
        return new Span<byte>(_view + offset, length);
    }
}
