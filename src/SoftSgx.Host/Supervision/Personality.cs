using SoftSgx.Host.Interop;

namespace SoftSgx.Host.Supervision;

/// <summary>Reads a process's execution domain, personality(2).</summary>
internal static unsafe class Personality
{
    private const uint READ_IMPLIES_EXEC = 0x0400000;

    internal static bool ReadImpliesExec(int tid)
    {
        Span<byte> text = stackalloc byte[16];
        int length;
        fixed (byte* path = ProcPath.Of(tid, "personality"u8))
        fixed (byte* buffer = text)
        {
            int fd = Libc.Open(path, Native.O_RDONLY | Native.O_CLOEXEC, 0);
            if (fd < 0)
            {
                return false;
            }
            length = (int)Libc.Read(fd, buffer, (nuint)text.Length);
            _ = Libc.Close(fd);
        }
        return length >= 8 && System.Buffers.Text.Utf8Parser.TryParse(text[..8], out uint persona, out _, 'x') && (persona & READ_IMPLIES_EXEC) != 0;
    }
}
