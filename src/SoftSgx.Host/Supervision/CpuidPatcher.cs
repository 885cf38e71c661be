using SoftSgx.Host.Cpuid;
using SoftSgx.Host.Memory;

namespace SoftSgx.Host.Supervision;

/// <summary>Replaces CPUID by UD2 in mapped code, and remembers where.</summary>
/// <remarks>Both instructions are two bytes, so nothing else moves; the page becomes the program's private copy.</remarks>
internal static class CpuidPatcher
{
    private static ReadOnlySpan<byte> Ud2 => [0x0F, 0x0B];

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
        if (entry.IsPrivate)
        {
            PatchPrivate(space, entry.Start, entry.End);
        }
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
            CpuidScanner.FindSites(piece.AsSpan(0, length), at, sites);
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
