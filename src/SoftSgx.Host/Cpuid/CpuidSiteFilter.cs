using Iced.Intel;

namespace SoftSgx.Host.Cpuid;

/// <summary>Tells a CPUID instruction from two bytes that only look like one.</summary>
/// <remarks>
/// <para>
/// Three tests, all of which a site must pass. They look at the 64 bytes before it and at up to twelve instructions after it,
/// nothing else: no symbols, no section headers, no frame information, since JIT-compiled and stripped code has none.
/// </para>
/// <list type="number">
/// <item>
/// Alignment. Decoded from any place, x86 code soon falls into step with the true instruction boundaries. So of all starts in
/// the window that do not run into an impossible instruction, three fifths must arrive exactly at the site. Inside a longer
/// instruction hardly any does; this alone rejects every displacement and immediate.
/// </item>
/// <item>
/// The leaf. On the path on which the starts agree, at most <see cref="MaximumLeafDistance"/> instructions back, EAX is given a
/// value that can be a leaf number: a constant in one of the ranges of leaves, zero (by XOR, or since JNE was not taken), or a
/// copy of something. Data that decode as code do not do that.
/// </item>
/// <item>
/// What follows. It decodes too, up to the next jump or call, and does not use a result of CPUID as an address. Tables of small
/// numbers, which are all valid instructions (00 00 is ADD [RAX], AL), do at once.
/// </item>
/// </list>
/// <para>
/// In doubt the answer is no. A rejected instruction returns what the processor says, which matters only if it asked for SGX;
/// an accepted table is a broken program.
/// </para>
/// </remarks>
internal sealed class CpuidSiteFilter
{
    private const int BytesBefore = CpuidScanner.BytesBefore;
    private const int BytesAfter = CpuidScanner.BytesAfter;
    private const int MinimumArrivals = 20;
    private const int MaximumLeafDistance = 12;
    private const int MaximumInstructionsAfter = 12;
    private const int LongestInstruction = 15;
    private const byte Int3 = 0xcc;
    private const byte LinuxSystemCallVector = 0x80;

    private enum Fate : byte
    {
        /// <summary>Runs into an instruction that no program contains.</summary>
        Impossible,

        /// <summary>Steps over the site without stopping there.</summary>
        PassesOver,

        Arrives,
    }

    private readonly byte[] _window = new byte[BytesBefore + CpuidScanner.InstructionLength + BytesAfter + LongestInstruction];
    private readonly ByteArrayCodeReader _reader;
    private readonly Decoder _decoder;
    private readonly InstructionInfoFactory _info = new();
    private readonly Instruction[] _before = new Instruction[BytesBefore];
    private readonly int[] _next = new int[BytesBefore];
    private readonly int[] _startsThrough = new int[BytesBefore + 1];
    private readonly Fate[] _fates = new Fate[BytesBefore + 1];

    public CpuidSiteFilter()
    {
        _reader = new ByteArrayCodeReader(_window);
        _decoder = Decoder.Create(64, _reader);
    }

    /// <summary>Of the last instruction found: the leaf, if it is a constant.</summary>
    internal uint? ConstantLeaf { get; private set; }

    /// <summary>Of the last instruction found: bytes from the instruction that loads the leaf to it.</summary>
    internal int DistanceOfLeaf { get; private set; }

    /// <summary>Whether the bytes 0F A2 at <paramref name="site"/> are certainly an instruction.</summary>
    /// <param name="code">The code around the site.</param>
    /// <param name="address">Address of <paramref name="code"/>; on a page boundary, an instruction begins there.</param>
    /// <param name="site">Offset of the two bytes in <paramref name="code"/>.</param>
    public bool IsInstruction(ReadOnlySpan<byte> code, ulong address, int site)
    {
        int before = Math.Min(BytesBefore, site);
        bool startsMapping = before < BytesBefore;
        if (startsMapping && address % 4096 != 0)
        {
            return false;
        }
        ReadOnlySpan<byte> around = code.Slice(
            site - before, Math.Min(before + CpuidScanner.InstructionLength + BytesAfter, code.Length - (site - before)));
        around.CopyTo(_window);
        _window.AsSpan(around.Length).Fill(Int3); // which ends a path as a jump does
        return IsAligned(before, startsMapping) && LoadsLeaf(before) && IsFollowedByCode(before);
    }

    private bool IsAligned(int before, bool startsMapping)
    {
        _fates[before] = Fate.Arrives;
        int arrivals = 0;
        int passes = 0;
        for (int start = before - 1; start >= 0; start--)
        {
            ref Instruction instruction = ref _before[start];
            Decode(start, out instruction);
            int next = start + instruction.Length;
            _next[start] = next;
            Fate fate = IsImpossible(instruction) ? Fate.Impossible : next > before ? Fate.PassesOver : _fates[next];
            _fates[start] = fate;
            arrivals += fate == Fate.Arrives ? 1 : 0;
            passes += fate == Fate.PassesOver ? 1 : 0;
        }
        // A function at the very start of a mapping: fewer starts, but the first of them is certainly a boundary.
        int required = startsMapping ? before * MinimumArrivals / BytesBefore : MinimumArrivals;
        return before > 0
            && arrivals >= required
            && arrivals * 5 >= (arrivals + passes) * 3
            && (!startsMapping || _fates[0] == Fate.Arrives);
    }

    private bool LoadsLeaf(int before)
    {
        Array.Clear(_startsThrough, 0, before + 1);
        for (int start = 0; start < before; start++)
        {
            if (_fates[start] == Fate.Arrives)
            {
                _startsThrough[_next[start]] += ++_startsThrough[start];
            }
        }
        int at = before;
        for (int distance = 1; distance <= MaximumLeafDistance; distance++)
        {
            int previous = Previous(at);
            if (previous < 0)
            {
                return false;
            }
            at = previous;
            ref readonly Instruction instruction = ref _before[at];
            DistanceOfLeaf = before - at;
            ConstantLeaf = instruction.Mnemonic == Mnemonic.Mov && instruction.Op1Kind is OpKind.Immediate32 or OpKind.Immediate32to64 or OpKind.Immediate64
                ? (uint)instruction.GetImmediate(1)
                : null;
            if (SetsLeaf(instruction)
                || (IsJumpIfNotZero(instruction) && Previous(at) is var test and >= 0 && TestsEax(_before[test])))
            {
                return true;
            }
            if (EndsPath(instruction) || instruction.FlowControl == FlowControl.Call || ChangesEaxOrUsesItAsAddress(instruction))
            {
                return false;
            }
        }
        return false;
    }

    /// <summary>The instruction before <paramref name="at"/> through which most starts come, or -1.</summary>
    private int Previous(int at)
    {
        int best = -1;
        for (int start = Math.Max(0, at - LongestInstruction); start < at; start++)
        {
            bool leadsHere = _fates[start] == Fate.Arrives && _next[start] == at;
            if (leadsHere && (best < 0 || _startsThrough[start] >= _startsThrough[best]))
            {
                best = start;
            }
        }
        return best;
    }

    private bool IsFollowedByCode(int before)
    {
        Span<bool> isResult = stackalloc bool[4]; // RAX, RCX, RDX, RBX: the processor's numbering
        isResult.Fill(true);
        int at = before + CpuidScanner.InstructionLength;
        int end = at + BytesAfter;
        for (int count = 0; count < MaximumInstructionsAfter && at < end; count++)
        {
            Decode(at, out Instruction instruction);
            if (IsImpossible(instruction))
            {
                return false;
            }
            if (EndsPath(instruction) || instruction.FlowControl == FlowControl.Call)
            {
                return true;
            }
            ref readonly InstructionInfo info = ref _info.GetInfo(instruction);
            foreach (UsedMemory memory in info.GetUsedMemory())
            {
                if (IsResult(isResult, memory.Base) || IsResult(isResult, memory.Index))
                {
                    return false;
                }
            }
            foreach (UsedRegister used in info.GetUsedRegisters())
            {
                // XCHG gives back what the program had saved from CPUID: RBX, in position-independent code.
                if (used.Access == OpAccess.Write || (used.Access == OpAccess.ReadWrite && instruction.Mnemonic == Mnemonic.Xchg))
                {
                    int number = ResultNumber(used.Register);
                    if (number >= 0)
                    {
                        isResult[number] = false;
                    }
                }
            }
            at += instruction.Length;
        }
        return true;
    }

    private void Decode(int at, out Instruction instruction)
    {
        _reader.Position = at;
        _decoder.IP = (ulong)at;
        _decoder.Decode(out instruction);
    }

    /// <summary>Instructions that fault in user space, and those that compilers and people do not write.</summary>
    private static bool IsImpossible(in Instruction instruction)
    {
        if (instruction.IsInvalid || instruction.IsPrivileged)
        {
            return true;
        }
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Hlt:
            case Mnemonic.In:
            case Mnemonic.Insb:
            case Mnemonic.Insw:
            case Mnemonic.Insd:
            case Mnemonic.Out:
            case Mnemonic.Outsb:
            case Mnemonic.Outsw:
            case Mnemonic.Outsd:
            case Mnemonic.Int1:
            case Mnemonic.Iret:
            case Mnemonic.Iretd:
            case Mnemonic.Iretq:
            case Mnemonic.Retf:
            case Mnemonic.Enter:
            case Mnemonic.Loope:
            case Mnemonic.Loopne:
            case Mnemonic.Xlatb:
                return true;
            case Mnemonic.Int:
                return instruction.Immediate8 != LinuxSystemCallVector;
            case Mnemonic.Cmpsb:
            case Mnemonic.Cmpsd when instruction.IsStringInstruction:
            case Mnemonic.Scasb:
            case Mnemonic.Scasd:
                return !instruction.HasRepPrefix && !instruction.HasRepnePrefix;
            case Mnemonic.Mov:
                // An absolute 64-bit address, or a segment register as the target.
                return instruction.Op0Register.IsSegmentRegister() || instruction.Code
                    is Code.Mov_AL_moffs8 or Code.Mov_AX_moffs16 or Code.Mov_EAX_moffs32 or Code.Mov_RAX_moffs64
                    or Code.Mov_moffs8_AL or Code.Mov_moffs16_AX or Code.Mov_moffs32_EAX or Code.Mov_moffs64_RAX;
        }
        return instruction.Code is Code.Call_m1616 or Code.Call_m1632 or Code.Call_m1664
            or Code.Jmp_m1616 or Code.Jmp_m1632 or Code.Jmp_m1664;
    }

    private static bool SetsLeaf(in Instruction instruction)
    {
        if (instruction.Op0Kind != OpKind.Register || instruction.Op0Register is not (Register.EAX or Register.RAX))
        {
            return false;
        }
        switch (instruction.Mnemonic)
        {
            case Mnemonic.Xor:
                return instruction.Op1Kind == OpKind.Register && instruction.Op1Register == instruction.Op0Register;
            case Mnemonic.Mov when instruction.Op1Kind is OpKind.Immediate32 or OpKind.Immediate32to64 or OpKind.Immediate64:
                return IsLeaf(instruction.GetImmediate(1));
            case Mnemonic.Mov:
                return instruction.Op1Kind == OpKind.Register
                    ? instruction.Op1Register.IsGPR()
                    : instruction.MemoryBase.GetFullRegister() != Register.RAX;
            default:
                return false;
        }
    }

    /// <summary>Basic leaves, and those of hypervisors, of AMD's and of VIA's extensions: below 0x100 in each range.</summary>
    private static bool IsLeaf(ulong value) =>
        (uint)value == value && (value & 0x0fff_ffff) < 0x100 && (value >> 28) is 0 or 4 or 8 or 0xc;

    private static bool IsJumpIfNotZero(in Instruction instruction) =>
        instruction.FlowControl == FlowControl.ConditionalBranch && instruction.ConditionCode == ConditionCode.ne;

    /// <summary>Whether JNE, not taken behind it, leaves EAX zero.</summary>
    private static bool TestsEax(in Instruction instruction) => instruction.Mnemonic switch
    {
        Mnemonic.Test => instruction.Op0Register == Register.EAX && instruction.Op1Kind == OpKind.Register
            && instruction.Op1Register == Register.EAX,
        Mnemonic.And => instruction.Op0Register == Register.EAX,
        _ => false,
    };

    private bool ChangesEaxOrUsesItAsAddress(in Instruction instruction)
    {
        ref readonly InstructionInfo info = ref _info.GetInfo(instruction);
        foreach (UsedMemory memory in info.GetUsedMemory())
        {
            if (memory.Base.GetFullRegister() == Register.RAX || memory.Index.GetFullRegister() == Register.RAX)
            {
                return true;
            }
        }
        foreach (UsedRegister used in info.GetUsedRegisters())
        {
            if (used.Access is not (OpAccess.Read or OpAccess.CondRead) && used.Register.GetFullRegister() == Register.RAX)
            {
                return true;
            }
        }
        return false;
    }

    private static bool EndsPath(in Instruction instruction) => instruction.FlowControl is FlowControl.Return
        or FlowControl.UnconditionalBranch or FlowControl.IndirectBranch or FlowControl.Interrupt or FlowControl.Exception;

    private static bool IsResult(ReadOnlySpan<bool> isResult, Register register) =>
        ResultNumber(register) is >= 0 and int number && isResult[number];

    private static int ResultNumber(Register register) => register.GetFullRegister() switch
    {
        Register.RAX => 0,
        Register.RCX => 1,
        Register.RDX => 2,
        Register.RBX => 3,
        _ => -1,
    };
}
