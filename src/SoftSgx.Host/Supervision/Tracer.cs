using SoftSgx.Host.Interop;
using SoftSgx.Host.Devices;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Supervision;

/// <summary>A thread of ours that traces some of the program's processes, with what it has to itself.</summary>
/// <remarks>
/// ptrace(2) ties a tracee to one thread: that thread alone may wait for it and make requests. Children belong to the tracer of their
/// parent until they are handed over (<see cref="HandOver"/>).
/// </remarks>
internal sealed class Tracer
{
    [ThreadStatic]
    private static Tracer? t_current;

    internal Tracer(OpenDevices devices)
    {
        Files = new ProcessFiles(devices);
        Tid = (int)Libc.Syscall(SYS_gettid);
        t_current = this;
    }

    /// <summary>True on a thread that is one.</summary>
    internal static bool IsCurrent => t_current is not null;

    /// <summary>The id of our thread.</summary>
    internal int Tid { get; }

    /// <summary>Keeps it where the threads are that it serves.</summary>
    internal ProcessorFollower Follower { get; } = new();

    /// <summary>The open files of the process whose ioctl it executes.</summary>
    internal ProcessFiles Files { get; }

    /// <summary>As many threads of the program belong to it.</summary>
    internal int Threads { get; set; }

    /// <summary>It keeps its processes: there can be no further tracer.</summary>
    internal bool IsLast { get; set; }

    /// <summary>As many address spaces of theirs use enclaves.</summary>
    internal int EnclaveSpaces { get; set; }
}
