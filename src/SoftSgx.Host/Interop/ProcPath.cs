using System.Buffers.Text;

namespace SoftSgx.Host.Interop;

/// <summary>Paths below /proc as NUL-terminated bytes, without strings.</summary>
internal static class ProcPath
{
    /// <summary>/proc/PID/NAME; the array is the calling thread's, valid until its next call.</summary>
    internal static byte[] Of(int pid, ReadOnlySpan<byte> name) => Write(pid, name, -1);

    /// <summary>/proc/PID/fd/FD.</summary>
    internal static byte[] OfDescriptor(int pid, int fd) => Write(pid, "fd/"u8, fd);

    [ThreadStatic]
    private static byte[]? s_buffer;

    private static byte[] Write(int pid, ReadOnlySpan<byte> name, int number)
    {
        byte[] buffer = s_buffer ??= new byte[64];
        "/proc/"u8.CopyTo(buffer);
        Utf8Formatter.TryFormat(pid, buffer.AsSpan(6), out int written);
        int length = 6 + written;
        buffer[length++] = (byte)'/';
        name.CopyTo(buffer.AsSpan(length));
        length += name.Length;
        if (number >= 0)
        {
            Utf8Formatter.TryFormat(number, buffer.AsSpan(length), out written);
            length += written;
        }
        buffer[length] = 0;
        return buffer;
    }
}
