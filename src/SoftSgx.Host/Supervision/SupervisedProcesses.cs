using System.Globalization;
using SoftSgx.Host.Interop;

namespace SoftSgx.Host.Supervision;

/// <summary>Finds threads by the ids that programs use for them.</summary>
/// <param name="threads">The supervised threads by their ids in our process-id namespace.</param>
internal sealed class SupervisedProcesses(IReadOnlyDictionary<int, TracedThread> threads)
{
    /// <summary>The thread that another one means by an id; null if it is none of ours.</summary>
    /// <param name="caller">Who says it.</param>
    /// <param name="id">A process or thread id in the caller's process-id namespace.</param>
    internal TracedThread? Find(TracedThread caller, int id)
    {
        string own = Namespace("self"), callers = Namespace(caller.Tid.ToString(CultureInfo.InvariantCulture));
        if (own == callers)
        {
            return threads.GetValueOrDefault(id);
        }
        foreach (TracedThread thread in threads.Values)
        {
            if (ProcStatus.InnermostId(thread.Tid) == id && Namespace(thread.Tid.ToString(CultureInfo.InvariantCulture)) == callers)
            {
                return thread;
            }
        }
        return null;
    }

    /// <summary>Names a process-id namespace; empty if the process is gone or hides it.</summary>
    private static string Namespace(string pid)
    {
        try
        {
            return new FileInfo($"/proc/{pid}/ns/pid").LinkTarget ?? "";
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return "";
        }
    }
}
