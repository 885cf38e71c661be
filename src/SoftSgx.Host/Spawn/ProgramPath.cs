using System.Text;
using SoftSgx.Host.Interop;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Spawn;

/// <summary>Finds a program the way execvp(3) does: as named if the name has a slash, else along PATH.</summary>
internal static unsafe class ProgramPath
{
    private const string DefaultSearchPath = "/bin:/usr/bin";
    private const int X_OK = 1;

    /// <summary>The path to execute, or the errno that says why there is none.</summary>
    internal static (byte[]? Path, int Errno) Find(byte[] name)
    {
        if (name.Length == 0)
        {
            return (null, ENOENT);
        }
        if (name.AsSpan().Contains((byte)'/'))
        {
            return (name, 0); // execve itself says what is wrong with it
        }
        int errno = ENOENT;
        foreach (string directory in (Environment.GetEnvironmentVariable("PATH") ?? DefaultSearchPath).Split(':'))
        {
            byte[] path = [.. Encoding.UTF8.GetBytes(directory.Length == 0 ? "." : directory), (byte)'/', .. name];
            string text = Encoding.UTF8.GetString(path);
            if (Directory.Exists(text))
            {
                continue;
            }
            fixed (byte* terminated = (byte[])[.. path, 0])
            {
                if (Libc.Syscall(SYS_access, (nint)terminated, X_OK) == 0)
                {
                    return (path, 0);
                }
            }
            errno = File.Exists(text) ? EACCES : errno;
        }
        return (null, errno);
    }
}
