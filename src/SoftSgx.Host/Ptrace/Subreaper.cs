using SoftSgx.Host.Interop;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Ptrace;

/// <summary>Between a begin and its end, orphans among the program's processes become this process's children and not init's.</summary>
internal static class Subreaper
{
    private static readonly Lock s_gate = new();
    private static int s_count;

    internal static void Begin() => Change(1);

    internal static void End() => Change(-1);

    private static void Change(int by)
    {
        lock (s_gate)
        {
            s_count += by;
            _ = Libc.Syscall(SYS_prctl, PR_SET_CHILD_SUBREAPER, s_count > 0 ? 1 : 0);
        }
    }
}
