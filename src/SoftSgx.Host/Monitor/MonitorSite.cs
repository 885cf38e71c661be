using Iced.Intel;

namespace SoftSgx.Host.Monitor;

/// <summary>One ENCLU that threads reach by the monitor, as the supervisor knows it.</summary>
/// <param name="View">Address of the view in which its code runs.</param>
/// <param name="Origin">Offset of its record in the monitor; its code follows.</param>
/// <param name="Rules">How a thread is recovered that stopped in its code, by offsets from the code.</param>
/// <param name="Start">Address of the first of the instructions before the ENCLU that the jump replaced.</param>
/// <param name="Enclu">Address of the ENCLU; of the vDSO's function, its AEP.</param>
/// <param name="Return">Address behind the ENCLU.</param>
/// <param name="IsVdso">It is the vDSO's function.</param>
internal sealed record MonitorSite(ulong View, int Origin, RecoveryPoint[] Rules, ulong Start, ulong Enclu, ulong Return, bool IsVdso)
{
    internal const int JumpLength = 5;

    /// <summary>INT3.</summary>
    internal const byte Trap = 0xCC;

    /// <summary>What the jump replaced; null where nothing was.</summary>
    internal byte[]? Original { get; init; }

    /// <summary>Where instructions begin under the jump, counted from its own beginning, but for the first. The bytes there are traps.</summary>
    internal int[] Inner { get; init; } = [];

    /// <summary>Those of a few instructions.</summary>
    internal static int[] InnerOf(ReadOnlySpan<Instruction> stolen)
    {
        List<int> inner = [];
        foreach (ref readonly Instruction instruction in stolen)
        {
            int at = (int)(instruction.IP - stolen[0].IP);
            if (at is > 0 and < JumpLength)
            {
                inner.Add(at);
            }
        }
        return [.. inner];
    }

    /// <summary>True if the displacement of a jump has traps where instructions began.</summary>
    internal static bool HasTraps(int displacement, ReadOnlySpan<int> inner)
    {
        foreach (int at in inner)
        {
            if ((byte)(displacement >> (8 * (at - 1))) != Trap)
            {
                return false;
            }
        }
        return true;
    }

    /// <summary>Address of the copy that the monitor has of an instruction under the jump; zero if none begins there.</summary>
    internal ulong CopyOf(ulong address)
    {
        int at = Array.FindIndex(Rules, rule => rule.Kind == Recovery.AtStolen && Start + (ulong)rule.Operand == address);
        return at < 0 ? 0 : Code + (ulong)Rules[at].Offset;
    }

    /// <summary>Where its code begins.</summary>
    internal ulong Code => View + (ulong)(Origin + SiteRecord.Bytes);

    /// <summary>RIP that a fault of the leaf reports.</summary>
    internal ulong Faulting => IsVdso ? Return : Enclu;
}
