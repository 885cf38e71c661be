using SoftSgx.Host.Interop;
using SoftSgx.Kernel;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Enclaves;

/// <summary>What an enclave's evicted pages are swapped to: a memfd of the supervisor, which no program ever sees.</summary>
internal sealed unsafe class BackingFile : IBackingFile
{
    private int _fd;

    private BackingFile(int fd) => _fd = fd;

    /// <summary>Makes an empty one; null if the host cannot have one of that size.</summary>
    internal static BackingFile? Create(ulong bytes)
    {
        int fd;
        fixed (byte* name = "sgx-backing\0"u8)
        {
            fd = (int)Libc.Syscall(SYS_memfd_create, (nint)name, MFD_CLOEXEC);
        }
        if (fd < 0)
        {
            return null;
        }
        if (bytes <= long.MaxValue && Libc.FTruncate(fd, (long)bytes) == 0)
        {
            return new BackingFile(fd);
        }
        _ = Libc.Close(fd);
        return null;
    }

    /// <inheritdoc/>
    public bool TryWrite(ulong offset, ReadOnlySpan<byte> data)
    {
        fixed (byte* p = data)
        {
            return Libc.PWrite(_fd, p, (nuint)data.Length, (long)offset) == data.Length;
        }
    }

    /// <inheritdoc/>
    public bool TryRead(ulong offset, Span<byte> destination)
    {
        fixed (byte* p = destination)
        {
            return Libc.PRead(_fd, p, (nuint)destination.Length, (long)offset) == destination.Length;
        }
    }

    /// <inheritdoc/>
    public void Truncate(ulong offset, ulong length) =>
        _ = Libc.FAllocate(_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (long)offset, (long)length);

    public void Dispose()
    {
        if (_fd >= 0)
        {
            _ = Libc.Close(_fd);
            _fd = -1;
        }
    }
}
