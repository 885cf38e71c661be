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

    /// <summary>
    /// /proc/PID belongs to the effective user id, also where files in it do not (task_dump_owner in fs/proc/base.c); /proc/PID/status
    /// takes ten times as long.
    /// </summary>
    private unsafe uint FindUser()
    {
        // struct stat of x86-64: 144 bytes; st_uid is at 28 (asm/stat.h).
        uint* stat = stackalloc uint[36];
        fixed (byte* path = ProcPath.Of(Tid, ""u8))
        {
            return Libc.Syscall(Native.SYS_newfstatat, Native.AT_FDCWD, (nint)path, (nint)stat, 0) == 0 ? stat[7] : uint.MaxValue;
        }
    }
}
