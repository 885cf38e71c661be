using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Interop;

/// <summary>Reads a piece of /proc/TID/NAME without strings or streams.</summary>
internal static unsafe class ProcFile
{
    /// <summary>Reads up to the buffer's length from an offset; the number of bytes, 0 if the thread is gone or hides the file.</summary>
    internal static int Read(int tid, ReadOnlySpan<byte> name, Span<byte> buffer, long offset = 0)
    {
        int fd;
        fixed (byte* path = ProcPath.Of(tid, name))
        {
            fd = Libc.Open(path, O_RDONLY | O_CLOEXEC, 0);
        }
        if (fd < 0)
        {
            return 0;
        }
        nint read;
        fixed (byte* p = buffer)
        {
            read = Libc.PRead(fd, p, (nuint)buffer.Length, offset);
        }
        _ = Libc.Close(fd);
        return (int)Math.Max(read, 0);
    }
}
