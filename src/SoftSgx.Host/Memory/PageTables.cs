using SoftSgx.Host.Interop;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Memory;

/// <summary>What a process's page tables say of an address.</summary>
internal static unsafe class PageTables
{
    /// <summary>True if the page is in memory (bit 63 of its entry, Documentation/admin-guide/mm/pagemap.rst).</summary>
    internal static bool IsPresent(int tid, ulong address)
    {
        int fd;
        fixed (byte* path = ProcPath.Of(tid, "pagemap"u8))
        {
            fd = Libc.Open(path, O_RDONLY | O_CLOEXEC, 0);
        }
        if (fd < 0)
        {
            return false;
        }
        ulong entry = 0;
        nint read = Libc.PRead(fd, &entry, sizeof(ulong), (long)(address / PageSize * sizeof(ulong)));
        _ = Libc.Close(fd);
        return read == sizeof(ulong) && entry >> 63 != 0;
    }
}
