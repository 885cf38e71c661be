namespace SoftSgx.Host.Cpuid;

/// <summary>Finds the CPUID instructions in executable memory.</summary>
/// <remarks>
/// A processor without SGX must be seen to have it, and few processors can make CPUID fault. So the supervisor replaces the
/// instruction by UD2. Its two bytes (0F A2) also occur in displacements, in tables, and at the end of other instructions,
/// where replacing them would corrupt the program: what <see cref="CpuidSiteFilter"/> is not sure of is left alone.
/// </remarks>
public static class CpuidScanner
{
    /// <summary>Bytes of CPUID.</summary>
    public const int InstructionLength = 2;

    /// <summary>How many bytes before a site are needed to judge it.</summary>
    public const int BytesBefore = 64;

    /// <summary>How many bytes behind a site are looked at.</summary>
    public const int BytesAfter = 64;

    [ThreadStatic]
    private static CpuidSiteFilter? s_filter;

    /// <summary>Adds the offset of every CPUID instruction in <paramref name="code"/> that is certainly one.</summary>
    /// <param name="code">A mapping, or a piece of it. Sites near its ends are judged by the bytes that are there.</param>
    /// <param name="address">
    /// Where <paramref name="code"/> starts. On a page boundary it is taken for the start of the mapping, where an instruction
    /// begins; anywhere else sites in the first <see cref="BytesBefore"/> bytes are left out. Pieces should therefore overlap
    /// by <see cref="BytesBefore"/> + <see cref="BytesAfter"/> bytes or more, and start off a page boundary.
    /// </param>
    /// <param name="offsets">Where the offsets go, ascending; it is not cleared.</param>
    /// <param name="onlyOfInterest">
    /// Leave out instructions that certainly ask for a leaf that the emulated processor answers as the machine's own does.
    /// </param>
    public static void FindSites(ReadOnlySpan<byte> code, ulong address, List<int> offsets, bool onlyOfInterest = false)
    {
        ArgumentNullException.ThrowIfNull(offsets);
        ReadOnlySpan<byte> cpuid = [0x0f, 0xa2];
        for (int start = 0; ;)
        {
            int found = code[start..].IndexOf(cpuid);
            if (found < 0)
            {
                return;
            }
            int site = start + found;
            // The decoder's tables are built at its first use: not before a candidate is there.
            CpuidSiteFilter filter = s_filter ??= new CpuidSiteFilter();
            if (filter.IsInstruction(code, address, site) && !(onlyOfInterest && IsOfNoInterest(filter, code, site)))
            {
                offsets.Add(site);
            }
            start = site + InstructionLength;
        }
    }

    /// <summary>The leaf is a constant, nobody can come to the instruction but by way of it, and it is none that we change.</summary>
    private static bool IsOfNoInterest(CpuidSiteFilter filter, ReadOnlySpan<byte> code, int site)
    {
        const int Around = 4096; // a function's own branches
        if (filter.ConstantLeaf is not uint leaf || !CpuidEmulation.IsNative(leaf))
        {
            return false;
        }
        int from = Math.Max(0, site - Around), to = Math.Min(code.Length, site + Around);
        return !BranchSearch.LeadsInto(code[from..to], site - filter.DistanceOfLeaf - from, site + 1 - from);
    }
}
