using System.Globalization;

namespace SoftSgx.Kernel.Tracing;

/// <summary>On whose behalf the calling thread works: a thread of the program, or a thread of the kernel by its name.</summary>
public static class TraceActor
{
    [ThreadStatic]
    private static int t_tid;

    /// <summary>The thread of the program for which the calling thread works from now on; 0 for none.</summary>
    public static int Tid
    {
        get => t_tid;
        set => t_tid = value;
    }

    /// <summary>The thread id, or the name of a thread of the kernel.</summary>
    public static string Name
        => t_tid != 0 ? t_tid.ToString(CultureInfo.InvariantCulture) : Thread.CurrentThread.Name ?? "softsgx";
}
