using System.Globalization;
using SoftSgx.Host.Interop;

namespace SoftSgx.Host.Devices;

/// <summary>As whom a thread accesses files: credentials(7).</summary>
/// <param name="User">File-system user id, or the real one.</param>
/// <param name="Group">File-system group id, or the real one.</param>
/// <param name="Groups">Supplementary groups.</param>
/// <param name="OverridesPermissions">CAP_DAC_OVERRIDE over files of our own user namespace.</param>
internal readonly record struct Credentials(uint User, uint Group, IReadOnlyList<uint> Groups, bool OverridesPermissions)
{
    private const int CAP_DAC_OVERRIDE = 1;

    /// <summary>Which column of the lines Uid and Gid in /proc/PID/status: real, effective, saved, file system (proc(5)).</summary>
    private const int RealColumn = 0, FileSystemColumn = 3;

    /// <summary>Nobody: what there is to say of a thread that is gone.</summary>
    internal static Credentials Nobody => new(uint.MaxValue, uint.MaxValue, [], false);

    internal bool IsIn(uint group) => Group == group || Groups.Contains(group);

    /// <summary>A thread's credentials for open(2), or with <paramref name="asReal"/> those for access(2).</summary>
    internal static Credentials Of(int tid, bool asReal = false)
    {
        try
        {
            return Parse(File.ReadAllText($"/proc/{tid}/status"), asReal, IsInOurUserNamespace(tid));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return Nobody;
        }
    }

    /// <summary>Reads the text of /proc/PID/status.</summary>
    internal static Credentials Parse(string status, bool asReal, bool isOurNamespace)
    {
        int column = asReal ? RealColumn : FileSystemColumn;
        Credentials result = Nobody;
        ulong capabilities = 0;
        foreach (string line in status.Split('\n'))
        {
            int colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon < 0)
            {
                continue;
            }
            string[] fields = line[(colon + 1)..].Split((char[])['\t', ' '], StringSplitOptions.RemoveEmptyEntries);
            switch (line[..colon])
            {
                case "Uid":
                    result = result with { User = Number(fields, column) };
                    break;
                case "Gid":
                    result = result with { Group = Number(fields, column) };
                    break;
                case "Groups":
                    result = result with { Groups = [.. fields.Select((_, i) => Number(fields, i))] };
                    break;
                case "CapEff" when fields.Length == 1:
                    _ = ulong.TryParse(fields[0], NumberStyles.HexNumber, CultureInfo.InvariantCulture, out capabilities);
                    break;
            }
        }
        // access(2) drops the capabilities of a real user that is not root (access_override_creds in fs/open.c).
        bool overrides = ((capabilities >> CAP_DAC_OVERRIDE) & 1) != 0 && (!asReal || result.User == 0);
        return result with { OverridesPermissions = overrides && isOurNamespace };
    }

    private static uint Number(string[] fields, int index) =>
        index < fields.Length && uint.TryParse(fields[index], NumberStyles.None, CultureInfo.InvariantCulture, out uint number)
            ? number
            : uint.MaxValue;

    /// <summary>
    /// Capabilities in a namespace below ours say nothing of files whose owner is not mapped there, as a device's
    /// (capable_wrt_inode_uidgid in kernel/capability.c).
    /// </summary>
    private static unsafe bool IsInOurUserNamespace(int tid)
    {
        Span<byte> theirs = stackalloc byte[64], ours = stackalloc byte[64];
        int length;
        fixed (byte* path = ProcPath.Of(tid, "ns/user"u8))
        fixed (byte* buffer = theirs)
        {
            length = (int)Libc.ReadLink(path, buffer, (nuint)theirs.Length);
        }
        if (length <= 0)
        {
            return false;
        }
        int own;
        fixed (byte* path = "/proc/self/ns/user\0"u8)
        fixed (byte* buffer = ours)
        {
            own = (int)Libc.ReadLink(path, buffer, (nuint)ours.Length);
        }
        return own == length && theirs[..length].SequenceEqual(ours[..length]);
    }
}
