using System.Globalization;
using System.Text;
using SoftSgx.Host.Interop;
using SoftSgx.Host.Paging;
using SoftSgx.Kernel;

namespace SoftSgx.Host.Memory;

/// <summary>A mapping of a file in a process, as /proc/PID/maps shows it.</summary>
internal readonly record struct MapsEntry(ulong Start, ulong End, bool IsExecutable, bool IsPrivate, bool HasInode, string Path)
{
    /// <summary>Offset in the file.</summary>
    internal ulong Offset { get; init; }

    /// <summary>Number of the inode.</summary>
    internal ulong Inode { get; init; }

    /// <summary>What the file contains, where that is known already.</summary>
    internal Interop.FileVersion? File { get; init; }
}

/// <summary>
/// Answers which mapping of a process holds an address and whether it may become executable; remembers the last answer, because a
/// program adds many pages from one mapping, often one a system call.
/// </summary>
internal sealed class MemoryMap
{
    /// <summary>ST_NOEXEC of statfs(2)'s f_flags.</summary>
    private const long ST_NOEXEC = 8;

    private SourceMapping _last;

    internal SourceMapping Find(int tid, ulong address)
    {
        if (address >= _last.Start && address < _last.End)
        {
            return _last;
        }
        foreach (MapsEntry entry in Read(tid))
        {
            if (address >= entry.Start && address < entry.End)
            {
                // VM_MAYEXEC is missing on mappings of files below a noexec mount point (fs: path_noexec).
                _last = new SourceMapping(entry.Start, entry.End, entry.IsExecutable || !IsOnNoExecMount(tid, entry))
                {
                    Path = FileOf(entry),
                    IsPrivate = entry.IsPrivate,
                };
                return _last;
            }
        }
        return default;
    }

    /// <summary>
    /// Whether a page of a private mapping is anonymous memory: it was written, or the program had it copied otherwise. Pages that are
    /// neither present nor swapped are the file's.
    /// </summary>
    /// <param name="pages">The page tables of the process.</param>
    /// <param name="address">First address.</param>
    /// <param name="length">Bytes.</param>
    internal static bool IsModified(PresentPages pages, ulong address, ulong length)
    {
        const ulong Present = 1UL << 63, Swapped = 1UL << 62, OfFileOrShared = 1UL << 61; // proc(5), pagemap
        const int PagesAtOnce = 512;
        Span<ulong> entries = stackalloc ulong[PagesAtOnce];
        for (ulong page = address / Native.PageSize, end = page + (length / Native.PageSize); page < end;)
        {
            Span<ulong> some = entries[..(int)Math.Min(PagesAtOnce, end - page)];
            if (!pages.Read(page * Native.PageSize, some))
            {
                return true;
            }
            foreach (ulong entry in some)
            {
                if ((entry & (Present | Swapped)) != 0 && (entry & OfFileOrShared) == 0)
                {
                    return true;
                }
            }
            page += (ulong)some.Length;
        }
        return false;
    }

    /// <summary>The path of the file that a mapping shows; null for memory that no path names.</summary>
    private static string? FileOf(in MapsEntry entry)
    {
        // A line end in a path is written \012 (seq_file_path); the kernel appends the word to the path of a file that is gone.
        bool isNamed = entry.HasInode && entry.Path.StartsWith('/') && !entry.Path.StartsWith("/memfd:", StringComparison.Ordinal)
            && !entry.Path.EndsWith(" (deleted)", StringComparison.Ordinal);
        return isNamed ? entry.Path.Replace("\\012", "\n", StringComparison.Ordinal) : null;
    }

    internal void Invalidate() => _last = default;

    /// <summary>The first address of a range where nothing is mapped; its end if there is none.</summary>
    internal static ulong EndOfMapped(int tid, ulong start, ulong end)
    {
        foreach (MapsEntry entry in Read(tid))
        {
            if (start >= end || entry.Start > start)
            {
                break;
            }
            start = Math.Max(start, entry.End);
        }
        return Math.Min(start, end);
    }

    /// <summary>All mappings of a process in order of address; none if it is gone.</summary>
    internal static IEnumerable<MapsEntry> Read(int tid)
    {
        IEnumerable<string> lines;
        try
        {
            lines = File.ReadAllLines($"/proc/{tid}/maps");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            yield break;
        }
        foreach (string line in lines)
        {
            // start-end perms offset dev inode   path
            string[] fields = line.Split(' ', 6, StringSplitOptions.RemoveEmptyEntries);
            int dash = fields[0].IndexOf('-', StringComparison.Ordinal);
            yield return new MapsEntry(
                ulong.Parse(fields[0].AsSpan(0, dash), NumberStyles.HexNumber, CultureInfo.InvariantCulture),
                ulong.Parse(fields[0].AsSpan(dash + 1), NumberStyles.HexNumber, CultureInfo.InvariantCulture),
                fields[1][2] == 'x',
                fields[1][3] == 'p',
                fields[4] != "0",
                fields.Length == 6 ? fields[5] : "")
            {
                Offset = ulong.Parse(fields[2], NumberStyles.HexNumber, CultureInfo.InvariantCulture),
                Inode = ulong.Parse(fields[4], CultureInfo.InvariantCulture),
            };
        }
    }

    private static unsafe bool IsOnNoExecMount(int tid, MapsEntry entry)
    {
        if (!entry.HasInode || !entry.Path.StartsWith('/'))
        {
            return false;
        }
        // struct statfs of x86-64: 120 bytes, f_flags at 80.
        long* statfs = stackalloc long[15];
        fixed (byte* path = Encoding.UTF8.GetBytes($"/proc/{tid}/root{entry.Path}\0"))
        {
            return Libc.Syscall(137 /* statfs */, (nint)path, (nint)statfs) == 0 && (statfs[10] & ST_NOEXEC) != 0;
        }
    }
}
