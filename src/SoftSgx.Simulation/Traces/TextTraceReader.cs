using System.Buffers.Text;
using System.Text;
using SoftSgx.Kernel;

namespace SoftSgx.Simulation;

/// <summary>Reads the text format of traces; docs/simulation.md describes it.</summary>
/// <remarks>Lines have at most 256 bytes, whatever the file has.</remarks>
internal sealed class TextTraceReader : TraceFileReader
{
    /// <summary>The first line.</summary>
    public const string Heading = "softsgx-trace 1";

    private const int LongestLine = 256;
    private const int ShownOfLine = 40;

    private readonly TraceInput _input;
    private readonly TraceEnclave[] _enclaves;
    private long _line;

    /// <summary>Reads the header: heading and enclaves.</summary>
    public TextTraceReader(TraceInput input)
        : base(input)
    {
        _input = input;
        if (!TryReadLine(out ReadOnlySpan<byte> line) || !line.SequenceEqual(Encoding.ASCII.GetBytes(Heading)))
        {
            throw Broken($"a trace starts with the line '{Heading}'");
        }

        List<TraceEnclave> enclaves = [];
        while (PeekWord("enclave"u8))
        {
            TryReadLine(out line);
            if (enclaves.Count == Trace.MaximumEnclaves)
            {
                throw Broken($"a trace has at most {Trace.MaximumEnclaves} enclaves");
            }

            enclaves.Add(ParseEnclave(line));
        }

        if (enclaves.Count == 0)
        {
            throw Broken("there is no enclave: the lines 'enclave SIZE [threads N]' come first");
        }

        _enclaves = [.. enclaves];
        Enclaves = _enclaves;
    }

    /// <inheritdoc/>
    public override int Read(Span<TraceRun> runs)
    {
        int count = 0;
        while (count < runs.Length && TryReadLine(out ReadOnlySpan<byte> line))
        {
            runs[count++] = ParseRun(line);
        }

        return count;
    }

    private static ReadOnlySpan<byte> NextWord(ref ReadOnlySpan<byte> line)
    {
        line = line.TrimStart(" \t"u8);
        int end = line.IndexOfAny((byte)' ', (byte)'\t');
        ReadOnlySpan<byte> word = end < 0 ? line : line[..end];
        line = line[word.Length..];
        return word;
    }

    private static bool TryParse(ReadOnlySpan<byte> word, out ulong value)
    {
        // Utf8Parser takes signs, and stops where the digits end.
        value = 0;
        return word.Length > 0 && char.IsAsciiDigit((char)word[0]) && Utf8Parser.TryParse(word, out value, out int used) && used == word.Length;
    }

    private TraceEnclave ParseEnclave(ReadOnlySpan<byte> line)
    {
        NextWord(ref line);
        string size = Encoding.Latin1.GetString(NextWord(ref line));
        if (!Quantity.TryParse(size, out ulong bytes) || bytes % EpcPool.PageSize != 0)
        {
            throw Broken($"'{Shown(size)}' is no size: a multiple of 4096, such as 262144 or 256M");
        }

        ulong threads = 1;
        ReadOnlySpan<byte> word = NextWord(ref line);
        if (!word.IsEmpty && (!word.SequenceEqual("threads"u8) || !TryParse(NextWord(ref line), out threads)))
        {
            throw Broken("an enclave is 'enclave SIZE' or 'enclave SIZE threads N'");
        }

        ExpectEnd(line);
        TraceEnclave enclave = new(bytes / EpcPool.PageSize, (int)Math.Min(threads, int.MaxValue));
        return enclave.Problem is { } problem ? throw Broken(problem) : enclave;
    }

    private TraceRun ParseRun(ReadOnlySpan<byte> line)
    {
        ReadOnlySpan<byte> whole = line;
        ReadOnlySpan<byte> kind = NextWord(ref line);
        if (kind.Length != 1 || kind[0] is not ((byte)'r' or (byte)'w'))
        {
            throw Broken($"'{Shown(whole)}' is no access: 'r ENCLAVE PAGE[+COUNT] [THREAD]', or w for a write");
        }

        if (!TryParse(NextWord(ref line), out ulong enclave) || enclave >= (ulong)_enclaves.Length)
        {
            throw Broken($"'{Shown(whole)}': the enclaves of this trace are 0 to {_enclaves.Length - 1}");
        }

        TraceEnclave owner = _enclaves[enclave];
        ReadOnlySpan<byte> pages = NextWord(ref line);
        int plus = pages.IndexOf((byte)'+');
        ulong length = 1;
        if (!TryParse(plus < 0 ? pages : pages[..plus], out ulong page) || (plus >= 0 && !TryParse(pages[(plus + 1)..], out length)))
        {
            throw Broken($"'{Shown(pages)}' is no page: PAGE or PAGE+COUNT");
        }

        if (page >= owner.Pages || length == 0 || length > owner.Pages - page || length > uint.MaxValue)
        {
            throw Broken($"'{Shown(pages)}' leaves the enclave, which has {owner.Pages} pages");
        }

        ulong thread = 0;
        ReadOnlySpan<byte> threadWord = NextWord(ref line);
        if (!threadWord.IsEmpty && (!TryParse(threadWord, out thread) || thread >= (ulong)owner.Threads))
        {
            throw Broken($"'{Shown(threadWord)}' is no thread of the enclave: 0 to {owner.Threads - 1}");
        }

        ExpectEnd(line);
        return new TraceRun(page, (uint)length, (ushort)enclave, (ushort)thread, kind[0] == (byte)'w');
    }

    private void ExpectEnd(ReadOnlySpan<byte> line)
    {
        ReadOnlySpan<byte> more = NextWord(ref line);
        if (!more.IsEmpty)
        {
            throw Broken($"'{Shown(more)}' is too much");
        }
    }

    private bool PeekWord(ReadOnlySpan<byte> word)
    {
        SkipEmptyLines();
        return _input.Peek(word.Length).SequenceEqual(word);
    }

    // The next line that says something, without comment and blanks around it.
    private bool TryReadLine(out ReadOnlySpan<byte> line)
    {
        SkipEmptyLines();
        ReadOnlySpan<byte> rest = _input.Peek(LongestLine + 1);
        line = default;
        if (rest.IsEmpty)
        {
            return false;
        }

        _line++;
        int end = rest.IndexOf((byte)'\n');
        if (end < 0 && rest.Length > LongestLine)
        {
            throw Broken($"a line has at most {LongestLine} characters");
        }

        line = end < 0 ? rest : rest[..end];
        _input.Skip(Math.Min(line.Length + 1, rest.Length));
        int comment = line.IndexOf((byte)'#');
        line = (comment < 0 ? line : line[..comment]).Trim(" \t\r"u8);
        return true;
    }

    private void SkipEmptyLines()
    {
        bool inComment = false;
        while (true)
        {
            ReadOnlySpan<byte> next = _input.Peek(1);
            if (next.IsEmpty)
            {
                return;
            }

            byte c = next[0];
            if (c == (byte)'\n')
            {
                _line++;
                inComment = false;
            }
            else if (!inComment && c == (byte)'#')
            {
                inComment = true;
            }
            else if (!inComment && c is not ((byte)' ' or (byte)'\t' or (byte)'\r'))
            {
                return;
            }

            _input.Skip(1);
        }
    }

    private static string Shown(ReadOnlySpan<byte> text) => Shown(Encoding.Latin1.GetString(text[..Math.Min(text.Length, ShownOfLine + 1)]));

    private static string Shown(string text)
    {
        string printable = string.Concat(text.Select(static c => char.IsControl(c) ? '?' : c));
        return printable.Length > ShownOfLine ? $"{printable[..ShownOfLine]}…" : printable;
    }

    private InvalidDataException Broken(string what) => new($"line {Math.Max(_line, 1)}: {what}");
}
