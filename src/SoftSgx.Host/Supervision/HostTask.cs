using System.Buffers.Text;
using System.Text;
using SoftSgx.Host.Interop;
using SoftSgx.Kernel;
using SoftSgx.Kernel.Tracing;

namespace SoftSgx.Host.Supervision;

/// <summary>The thread of the program for which the calling thread of ours works, as a security module asks for it.</summary>
internal sealed class HostTask : ICallingTask
{
    [ThreadStatic]
    private static int t_faulting;

    private uint? _user;

    private HostTask(int tid) => Tid = tid;

    /// <summary>The thread whose system call, stop or page fault is being answered.</summary>
    internal static HostTask Current => new(t_faulting != 0 ? t_faulting : TraceActor.Tid);

    /// <summary>The thread whose page fault the calling thread answers; 0 for none.</summary>
    internal static int Faulting
    {
        set => t_faulting = value;
    }

    /// <inheritdoc/>
    public int Tid { get; }

    /// <inheritdoc/>
    public uint User => _user ??= FindUser();

    /// <inheritdoc/>
    public unsafe string? Executable
    {
        get
        {
            if (field is null && Tid != 0)
            {
                byte* target = stackalloc byte[Devices.DevicePaths.MaximumPath];
                nint length;
                fixed (byte* path = ProcPath.Of(Tid, "exe"u8))
                {
                    length = Libc.ReadLink(path, target, Devices.DevicePaths.MaximumPath);
                }
                field = length <= 0 ? null : Encoding.UTF8.GetString(target, (int)length);
            }
            return field;
        }
    }

    /// <inheritdoc/>
    public string Command
    {
        get
        {
            Span<byte> name = stackalloc byte[64];
            name = name[..ProcFile.Read(Tid, "comm"u8, name)];
            return Encoding.UTF8.GetString(name).TrimEnd('\n');
        }
    }

    /// <summary>The second number of the line Uid in /proc/PID/status, one of its first lines (proc(5)).</summary>
    private uint FindUser()
    {
        Span<byte> buffer = stackalloc byte[1024];
        ReadOnlySpan<byte> status = buffer[..ProcFile.Read(Tid, "status"u8, buffer)];
        ReadOnlySpan<byte> name = "\nUid:\t"u8; // a line end in the command's name is written \n
        int at = status.IndexOf(name);
        if (at < 0)
        {
            return uint.MaxValue;
        }
        ReadOnlySpan<byte> effective = status[(at + name.Length)..];
        effective = effective[(effective.IndexOf((byte)'\t') + 1)..];
        return Utf8Parser.TryParse(effective, out uint user, out _) ? user : uint.MaxValue;
    }
}
