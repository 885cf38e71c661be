using System.Buffers.Binary;
using Iced.Intel;
using SoftSgx.Host.Cpuid;

namespace SoftSgx.Host.Tests.Cpuid;

/// <summary>Compares the scanner with what is known about real programs.</summary>
/// <remarks>
/// The judge is frame information: .eh_frame gives the start of each function, and decoding from there to the two bytes tells
/// whether they are an instruction. Where a file has none for them (hand-written assembly, data in an executable segment, Go),
/// the bytes count as unknown, or as data if they lie in a section that holds no code.
/// </remarks>
internal sealed class CpuidSurvey
{
    public enum Truth
    {
        Instruction,
        PartOfAnother,
        Data,
        Unknown,
    }

    public readonly record struct Match(ulong Address, Truth Truth, bool Accepted);

    private readonly byte[] _file;
    private readonly List<Segment> _segments = [];
    private readonly List<(ulong Start, ulong End)> _functions = [];
    private readonly List<(ulong Start, ulong End)> _code = [];

    private readonly record struct Segment(ulong Address, ulong Offset, ulong Size, bool Executable);

    private CpuidSurvey(byte[] file) => _file = file;

    /// <summary>Every occurrence of CPUID's bytes in the executable segments of a file; none if it is not for x86-64.</summary>
    public static List<Match> Of(string path)
    {
        byte[] file = File.ReadAllBytes(path);
        bool isElf = file.Length > 64 && file.AsSpan().StartsWith("\u007fELF\u0002\u0001"u8);
        if (!isElf || BinaryPrimitives.ReadUInt16LittleEndian(file.AsSpan(18)) != 62)
        {
            return [];
        }
        CpuidSurvey survey = new(file);
        survey.ReadSegments();
        survey.ReadSections();
        return survey.Matches();
    }

    private List<Match> Matches()
    {
        List<Match> matches = [];
        foreach (Segment segment in _segments.Where(s => s.Executable))
        {
            ReadOnlySpan<byte> code = _file.AsSpan((int)segment.Offset, (int)segment.Size);
            List<int> accepted = [];
            CpuidScanner.FindSites(code, segment.Address, accepted);
            for (int at = 0; code[at..].IndexOf((ReadOnlySpan<byte>)[0x0f, 0xa2]) is >= 0 and int found;)
            {
                at += found;
                ulong address = segment.Address + (ulong)at;
                matches.Add(new Match(address, TruthAt(address, segment), accepted.BinarySearch(at) >= 0));
                at += 2;
            }
        }
        return matches;
    }

    private Truth TruthAt(ulong address, Segment segment)
    {
        foreach ((ulong start, ulong end) in _functions)
        {
            if (address < start || address >= end || start < segment.Address)
            {
                continue;
            }
            int first = (int)(start - segment.Address + segment.Offset);
            int last = (int)(segment.Offset + segment.Size);
            Decoder decoder = Decoder.Create(64, new ByteArrayCodeReader(_file, first, last - first));
            decoder.IP = start;
            while (decoder.IP < address)
            {
                decoder.Decode();
            }
            bool isInstruction = decoder.IP == address && decoder.Decode() is { Mnemonic: Mnemonic.Cpuid, Length: 2 };
            return isInstruction ? Truth.Instruction : Truth.PartOfAnother;
        }
        bool inCode = _code.Count == 0 || _code.Exists(c => address >= c.Start && address < c.End);
        return inCode ? Truth.Unknown : Truth.Data;
    }

    private void ReadSegments()
    {
        ulong frames = 0;
        for (int i = 0; i < U16(56); i++)
        {
            ulong header = U64(32) + (ulong)(i * 56);
            ulong offset = U64(header + 8), address = U64(header + 16), size = U64(header + 32);
            switch (U32(header))
            {
                case 1:
                    _segments.Add(new Segment(address, offset, size, (U32(header + 4) & 1) != 0));
                    break;
                case 0x6474e550:
                    frames = address;
                    break;
            }
        }
        // .eh_frame_hdr: version 1, a pcrel pointer, a u4 count, a table of datarel pairs (function, description).
        ulong table = FileOffset(frames);
        if (frames == 0 || U32(table) != 0x3b031b01)
        {
            return;
        }
        for (ulong i = 0; i < U32(table + 8); i++)
        {
            ulong start = frames + (ulong)(long)(int)U32(table + 12 + (i * 8));
            ulong description = FileOffset(frames + (ulong)(long)(int)U32(table + 16 + (i * 8)));
            _functions.Add((start, start + U32(description + 12)));
        }
    }

    private void ReadSections()
    {
        ulong table = U64(40);
        for (int i = 0; table != 0 && i < U16(60); i++)
        {
            ulong header = table + (ulong)(i * 64);
            bool isCode = (U64(header + 8) & 4) != 0;
            if (isCode)
            {
                _code.Add((U64(header + 16), U64(header + 16) + U64(header + 32)));
            }
        }
    }

    private ulong FileOffset(ulong address)
    {
        foreach (Segment segment in _segments)
        {
            if (address >= segment.Address && address < segment.Address + segment.Size)
            {
                return address - segment.Address + segment.Offset;
            }
        }
        return 0;
    }

    private ushort U16(ulong offset) => BinaryPrimitives.ReadUInt16LittleEndian(_file.AsSpan((int)offset));

    private uint U32(ulong offset) => BinaryPrimitives.ReadUInt32LittleEndian(_file.AsSpan((int)offset));

    private ulong U64(ulong offset) => BinaryPrimitives.ReadUInt64LittleEndian(_file.AsSpan((int)offset));
}
