using System.Text;
using SoftSgx.Host.Interop;

namespace SoftSgx.Host;

/// <summary>Writes to standard error as it is: a terminal, a pipe, or a file that the program writes to as well.</summary>
/// <remarks>
/// The Console class would set up terminal and signal handling that belongs to the program under supervision, and a FileStream
/// would write to a file at a position of its own.
/// </remarks>
public static class StandardError
{
    /// <summary>Writes text as UTF-8; if nobody reads it, there is nobody to tell.</summary>
    public static void Write(string text) => Write(Encoding.UTF8.GetBytes(text));

    /// <summary>Writes bytes; if nobody reads them, there is nobody to tell.</summary>
    public static unsafe void Write(ReadOnlySpan<byte> bytes)
    {
        fixed (byte* p = bytes)
        {
            for (nint done = 0; done < bytes.Length;)
            {
                nint written = Libc.Write(2, p + done, (nuint)(bytes.Length - done));
                if (written < 0 && Libc.Errno != Native.EINTR)
                {
                    return;
                }
                done += Math.Max(written, 0);
            }
        }
    }
}
