using SoftSgx.Host.Interop;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Paging;

/// <summary>Which pages an address space has in its page tables: /proc/PID/pagemap, kept open.</summary>
internal sealed unsafe class PresentPages : IDisposable
{
    private readonly int _fd;

    private PresentPages(int fd) => _fd = fd;

    /// <summary>Opens it; null if the process hides it.</summary>
    internal static PresentPages? Open(int tid)
    {
        fixed (byte* path = ProcPath.Of(tid, "pagemap"u8))
        {
            int fd = Libc.Open(path, O_RDONLY | O_CLOEXEC, 0);
            return fd < 0 ? null : new PresentPages(fd);
        }
    }

    /// <summary>Reads the entries of neighbouring pages; false if the address space is gone.</summary>
    internal bool Read(ulong address, Span<ulong> entries)
    {
        fixed (ulong* p = entries)
        {
            nuint bytes = (nuint)entries.Length * sizeof(ulong);
            return Libc.PRead(_fd, p, bytes, (long)(address / PageSize * sizeof(ulong))) == (nint)bytes;
        }
    }

    /// <summary>Bit 63 of an entry (Documentation/admin-guide/mm/pagemap.rst).</summary>
    internal static bool IsPresent(ulong entry) => entry >> 63 != 0;

    public void Dispose() => _ = Libc.Close(_fd);
}
