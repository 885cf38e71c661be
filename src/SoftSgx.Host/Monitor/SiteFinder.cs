using Iced.Intel;
using SoftSgx.Host.Cpuid;

namespace SoftSgx.Host.Monitor;

/// <summary>Finds the instructions before an ENCLU that has just been executed, if a jump can take their place.</summary>
/// <remarks>
/// <para>
/// The ENCLU is one beyond doubt, since it trapped. Whether the bytes before it are an instruction that always comes before it is not: code
/// is decoded from every place before, and most of the paths that arrive at the ENCLU must come through that instruction. None may change
/// the flow of control, and no branch nearby may lead between them.
/// </para>
/// <para>
/// As many are taken as a jump is long, most often one. Where an instruction begins under the jump, a thread may stand: it was interrupted
/// there before the jump was written, or an exception handler resumes there. The byte of the jump at that place is therefore to be a trap
/// (<see cref="MonitorSite.HasTraps"/>). That byte belongs to the displacement, whose upper half can be chosen by choosing the view; so the
/// first instruction has three bytes at least.
/// </para>
/// </remarks>
internal sealed class SiteFinder
{
    /// <summary>Bytes before the ENCLU that are looked at for the boundaries of instructions.</summary>
    internal const int BytesBefore = 64;

    /// <summary>Bytes on either side that are searched for branches into the instruction.</summary>
    internal const int BytesAround = 4096;

    private const int MinimumArrivals = 8;

    /// <summary>The opcode and the lower half of the displacement of a jump.</summary>
    private const int ShortestFirst = 3;

    /// <summary>As many instructions are taken at most.</summary>
    private const int MostInstructions = 8;

    /// <summary>Finds the instructions.</summary>
    /// <param name="code">Code around the ENCLU.</param>
    /// <param name="address">Its address.</param>
    /// <param name="site">Offset of the ENCLU in it.</param>
    /// <param name="stolen">The instructions, decoded at their own addresses.</param>
    /// <returns>False if there are none that may be replaced.</returns>
    internal static bool TryFind(ReadOnlySpan<byte> code, ulong address, int site, out Instruction[] stolen)
    {
        stolen = [];
        List<Instruction> found = [];
        int start = site;
        while (site - start < MonitorSite.JumpLength || found[0].Length < ShortestFirst)
        {
            if (found.Count == MostInstructions || !TryFindBefore(code, address, start, out Instruction instruction))
            {
                return false;
            }
            found.Insert(0, instruction);
            start -= instruction.Length;
        }
        if (BranchSearch.LeadsInto(code, start, site))
        {
            return false;
        }
        stolen = [.. found];
        return true;
    }

    private static bool TryFindBefore(ReadOnlySpan<byte> code, ulong address, int site, out Instruction stolen)
    {
        stolen = default;
        int before = Math.Min(site, BytesBefore);
        if (before == 0)
        {
            return false;
        }
        byte[] window = code.Slice(site - before, before).ToArray();
        ByteArrayCodeReader reader = new(window);
        Decoder decoder = Decoder.Create(64, reader);
        int[] arrivalsFrom = new int[before];
        int arrivals = 0;
        for (int start = 0; start < before; start++)
        {
            int last = LastBefore(reader, decoder, start);
            if (last >= 0)
            {
                arrivals++;
                arrivalsFrom[last]++;
            }
        }
        int best = Array.IndexOf(arrivalsFrom, arrivalsFrom.Max());
        // At the beginning of a mapping there is little before.
        int needed = Math.Min(MinimumArrivals, before / 2);
        if (arrivalsFrom[best] < needed || arrivalsFrom[best] * 5 < arrivals * 3)
        {
            return false;
        }
        ulong startAddress = address + (ulong)(site - before + best);
        Decoder at = Decoder.Create(64, window[best..], startAddress);
        at.Decode(out stolen);
        return stolen.Length == before - best && MayBeReplaced(stolen);
    }

    /// <summary>Where the last instruction begins on the path from a place that arrives exactly at the end; -1 if it does not.</summary>
    private static int LastBefore(ByteArrayCodeReader reader, Decoder decoder, int start)
    {
        for (int at = start; ;)
        {
            (reader.Position, decoder.IP) = (at, (ulong)at);
            decoder.Decode(out Instruction instruction);
            if (instruction.IsInvalid || instruction.FlowControl is FlowControl.Return or FlowControl.UnconditionalBranch or FlowControl.IndirectBranch)
            {
                return -1;
            }
            int next = at + instruction.Length;
            if (next >= reader.Count)
            {
                return next == reader.Count ? at : -1;
            }
            at = next;
        }
    }

    // POPF may begin single steps, and a load of SS puts them off by an instruction: the next one has to be the program's own.
    private static bool MayBeReplaced(in Instruction instruction) =>
        !instruction.IsInvalid && instruction.FlowControl == FlowControl.Next && !instruction.IsPrivileged && instruction.Op0Register != Register.SS
        && instruction.Mnemonic is not (Mnemonic.Popf or Mnemonic.Popfd or Mnemonic.Popfq)
        && instruction.Mnemonic is not (Mnemonic.Cpuid or Mnemonic.Enclu or Mnemonic.Syscall or Mnemonic.Rdtsc or Mnemonic.Xbegin);
}
