using SoftSgx.Host.Interop;

namespace SoftSgx.Host.Supervision;

/// <summary>Reads a process's execution domain, personality(2).</summary>
internal static class Personality
{
    private const uint READ_IMPLIES_EXEC = 0x0400000;

    internal static bool ReadImpliesExec(int tid)
    {
        Span<byte> text = stackalloc byte[16];
        int length = ProcFile.Read(tid, "personality"u8, text);
        return length >= 8 && System.Buffers.Text.Utf8Parser.TryParse(text[..8], out uint persona, out _, 'x') && (persona & READ_IMPLIES_EXEC) != 0;
    }
}
