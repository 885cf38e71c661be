using SoftSgx.Host.Cpuid;
using SoftSgx.Host.Interop;
using SoftSgx.Host.Memory;

namespace SoftSgx.Host.Supervision;

/// <summary>Replaces CPUID by UD2 in mapped code, and remembers where.</summary>
/// <remarks>Both instructions are two bytes, so nothing else moves; the page becomes the program's private copy.</remarks>
internal static class CpuidPatcher
{
    private static ReadOnlySpan<byte> Ud2 => [0x0F, 0x0B];
    private static ReadOnlySpan<byte> Cpuid => [0x0F, 0xA2];

    /// <summary>As many pieces of files are remembered.</summary>
    private const int MaximumKnown = 4096;

    /// <summary>Where the instructions are in pieces of files that were looked at: the same libraries are mapped at every exec. The tracer's.</summary>
    private static readonly Dictionary<(FileVersion File, ulong Offset, ulong Length), int[]> s_known = [];

    /// <summary>Code is looked at in pieces of this many bytes, each beginning with the end of the piece before.</summary>
    private const int PieceBytes = 1 << 20, OverlapBytes = 128;

    [ThreadStatic]
    private static byte[]? s_piece;

    [ThreadStatic]
    private static List<int>? s_sites;

    /// <summary>Patches what became executable in a range that may have been patched before: sites in it stay known.</summary>
    internal static void PatchRange(AddressSpace space, ulong start, ulong end)
    {
        foreach (MapsEntry entry in MemoryMap.Read(space.Tid))
        {
            if (entry.IsExecutable && entry.Start < end && entry.End > start)
            {
                Patch(space, entry with { Start = Math.Max(start, entry.Start), End = Math.Min(end, entry.End) });
            }
        }
    }

    /// <summary>Patches a fresh mapping, which replaces whatever was known of its range.</summary>
    internal static void PatchNew(AddressSpace space, in MapsEntry entry)
    {
        ulong start = entry.Start, end = entry.End;
        if (space.CpuidSites.Count > 0)
        {
            space.CpuidSites.RemoveWhere(site => site >= start && site < end);
        }
        Patch(space, entry);
    }

    /// <summary>Patches the instructions of a mapping, unless it is shared: that would change the file or another process's code.</summary>
    private static void Patch(AddressSpace space, in MapsEntry entry)
    {
        if (!entry.IsPrivate)
        {
            return;
        }
        if (entry.File is FileVersion file && s_known.TryGetValue((file, entry.Offset, entry.End - entry.Start), out int[]? known)
            && TryPatchKnown(space, entry.Start, known))
        {
            return;
        }
        int before = space.CpuidSites.Count;
        PatchPrivate(space, entry.Start, entry.End);
        if (entry.File is FileVersion scanned && s_known.Count < MaximumKnown)
        {
            ulong start = entry.Start, end = entry.End;
            s_known[(scanned, entry.Offset, end - start)] = space.CpuidSites.Count == before ? []
                : [.. space.CpuidSites.Where(site => site >= start && site < end).Select(site => (int)(site - start)).Order()];
        }
    }

    /// <summary>Patches what was found in the same file before; false if something else is there after all.</summary>
    private static bool TryPatchKnown(AddressSpace space, ulong start, int[] sites)
    {
        Span<byte> code = stackalloc byte[Ud2.Length];
        foreach (int site in sites)
        {
            if (!space.Memory.TryRead(start + (ulong)site, code) || !code.SequenceEqual(Cpuid))
            {
                return false;
            }
        }
        foreach (int site in sites)
        {
            if (space.Memory.Poke(start + (ulong)site, Ud2))
            {
                space.CpuidSites.Add(start + (ulong)site);
            }
        }
        return true;
    }

    private static void PatchPrivate(AddressSpace space, ulong start, ulong end)
    {
        byte[] piece = s_piece ??= new byte[PieceBytes];
        List<int> sites = s_sites ??= [];
        for (ulong at = start; at < end;)
        {
            int length = space.Memory.ReadSome(at, piece.AsSpan(0, (int)Math.Min((ulong)PieceBytes, end - at)));
            if (length <= 0)
            {
                return; // beyond the end of the file: nothing is there
            }
            sites.Clear();
            CpuidScanner.FindSites(piece.AsSpan(0, length), at, sites, onlyOfInterest: true);
            foreach (int site in sites)
            {
                if (space.Memory.Poke(at + (ulong)site, Ud2))
                {
                    space.CpuidSites.Add(at + (ulong)site);
                }
            }
            at += (ulong)(length > OverlapBytes && at + (ulong)length < end ? length - OverlapBytes : length);
        }
    }
}
