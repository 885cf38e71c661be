using System.Globalization;

namespace SoftSgx.Host.Interop;

/// <summary>Fields of /proc/PID/status.</summary>
internal static class ProcStatus
{
    /// <summary>True if somebody traces this process.</summary>
    internal static bool IsTraced => Mask("self", "TracerPid") != 0;

    /// <summary>True if a thread is running, waits for a processor, or is in the middle of a call that nothing interrupts.</summary>
    internal static bool IsRunnable(int tid)
    {
        Span<byte> stat = stackalloc byte[64];
        // "PID (NAME) STATE …"; a name has at most 15 bytes, and may contain a parenthesis.
        stat = stat[..ProcFile.Read(tid, "stat"u8, stat)];
        int end = stat.LastIndexOf(") "u8);
        return end >= 0 && end + 2 < stat.Length && stat[end + 2] is (byte)'R' or (byte)'D';
    }

    /// <summary>A thread's id in its own process-id namespace; -1 if it is gone.</summary>
    internal static int InnermostId(int tid) => LastNumber(tid.ToString(CultureInfo.InvariantCulture), "NSpid");

    /// <summary>The process that a process or thread is a child of; -1 if it is gone.</summary>
    internal static int Parent(int tid) => LastNumber(tid.ToString(CultureInfo.InvariantCulture), "PPid");

    /// <summary>How many seccomp filters a process or thread is under; -1 if it is gone, or the kernel does not tell (before 5.9).</summary>
    internal static int SeccompFilters(string pid) => LastNumber(pid, "Seccomp_filters");

    /// <summary>True if this process may trace every other one that it sees (CAP_SYS_PTRACE).</summary>
    internal static bool MayTraceAll => (Mask("self", "CapEff") & (1UL << 19)) != 0;

    /// <summary>The Yama module's setting, 0 without it; -1 if it cannot be read.</summary>
    internal static int PtraceScope
    {
        get
        {
            const string Setting = "/proc/sys/kernel/yama/ptrace_scope";
            try
            {
                return !File.Exists(Setting) ? 0 : int.TryParse(File.ReadAllText(Setting), CultureInfo.InvariantCulture, out int scope) ? scope : -1;
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                return -1;
            }
        }
    }

    private static int LastNumber(string pid, string field)
    {
        try
        {
            foreach (string line in File.ReadLines($"/proc/{pid}/status"))
            {
                if (line.StartsWith(field, StringComparison.Ordinal) && line.Length > field.Length && line[field.Length] == ':')
                {
                    return int.Parse(line.AsSpan(line.LastIndexOf('\t') + 1), CultureInfo.InvariantCulture);
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Gone.
        }
        return -1;
    }

    /// <summary>
    /// A signal mask of a process or thread (SigIgn, SigCgt, SigBlk…) or another number in hexadecimal digits; zero if it cannot be read.
    /// </summary>
    internal static ulong Mask(string pid, string field)
    {
        try
        {
            foreach (string line in File.ReadLines($"/proc/{pid}/status"))
            {
                if (line.StartsWith(field, StringComparison.Ordinal) && line.Length > field.Length && line[field.Length] == ':')
                {
                    return ulong.TryParse(line.AsSpan(field.Length + 1).Trim(), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out ulong mask) ? mask : 0;
                }
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // The process is gone, or /proc is hidden from us: nothing is known.
        }
        return 0;
    }
}
