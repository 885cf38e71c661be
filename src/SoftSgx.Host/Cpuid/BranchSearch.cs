namespace SoftSgx.Host.Cpuid;

/// <summary>Looks for branches into a piece of code.</summary>
internal static class BranchSearch
{
    /// <summary>
    /// True if some bytes, read as a branch relative to the instruction pointer, lead strictly between two places. Whether they are an instruction
    /// does not matter: in doubt there is a branch.
    /// </summary>
    /// <param name="code">Code around.</param>
    /// <param name="start">Offset of the first place.</param>
    /// <param name="end">Offset of the second.</param>
    internal static bool LeadsInto(ReadOnlySpan<byte> code, int start, int end)
    {
        for (int at = 0; at + 2 <= code.Length; at++)
        {
            byte opcode = code[at];
            if ((opcode is 0xEB or (>= 0x70 and <= 0x7F) or (>= 0xE0 and <= 0xE3)) && IsInside(at + 2 + (sbyte)code[at + 1]))
            {
                return true;
            }
            if (opcode is 0xE8 or 0xE9 && at + 5 <= code.Length && IsInside(at + 5 + (long)BitConverter.ToInt32(code[(at + 1)..])))
            {
                return true;
            }
            if (opcode == 0x0F && code[at + 1] is >= 0x80 and <= 0x8F && at + 6 <= code.Length && IsInside(at + 6 + (long)BitConverter.ToInt32(code[(at + 2)..])))
            {
                return true;
            }
        }
        return false;

        bool IsInside(long target) => target > start && target < end;
    }
}
