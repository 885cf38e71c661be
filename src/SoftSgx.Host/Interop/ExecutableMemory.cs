using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Interop;

/// <summary>One page of machine code in this process, never writable and executable at once.</summary>
internal static unsafe class ExecutableMemory
{
    internal static nint Allocate(ReadOnlySpan<byte> code)
    {
        nint page = Libc.MMap(0, (nuint)PageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == -1)
        {
            throw new HostException($"mmap of a page for code failed (errno {Libc.Errno})");
        }
        code.CopyTo(new Span<byte>((void*)page, (int)PageSize));
        if (Libc.MProtect(page, (nuint)PageSize, PROT_READ | PROT_EXEC) != 0)
        {
            throw new HostException($"this host refuses executable memory (mprotect: errno {Libc.Errno})");
        }
        return page;
    }

    internal static void Free(nint page) => _ = Libc.MUnmap(page, (nuint)PageSize);
}
