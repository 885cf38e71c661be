using Iced.Intel;

namespace SoftSgx.Host.Monitor;

/// <summary>Assembles code of the monitor, and remembers for each instruction how a thread that stops there is recovered.</summary>
internal sealed class MonitorAssembler
{
    private readonly List<(Label At, Recovery Kind, int Operand)> _rules = [];
    private readonly ulong _view;
    private readonly int _origin;

    /// <param name="view">Address of the view in which the code will be reached.</param>
    /// <param name="origin">Offset of the code in the monitor.</param>
    internal MonitorAssembler(ulong view, int origin)
    {
        _view = view;
        _origin = origin;
    }

    internal Assembler Code { get; } = new(64);

    /// <summary>What follows is recovered by this rule.</summary>
    internal void Rule(Recovery kind, int operand = 0)
    {
        // An instruction has one label at most. These have no bytes.
        Code.zero_bytes();
        Label here = Code.CreateLabel();
        Code.Label(ref here);
        Code.zero_bytes();
        _rules.Add((here, kind, operand));
    }

    /// <summary>The address of the calling thread's record into RCX. Only the zero flag changes: set if there is a record.</summary>
    internal void FindRecord()
    {
        Lea(Register.RCX, MonitorLayout.Threads);
        Code.AddInstruction(Instruction.Create(Iced.Intel.Code.Lsl_r16_rm16, Register.CX, At(MonitorLayout.Threads + MonitorLayout.Selector)));
    }

    /// <summary>The address of a place of the monitor into a register.</summary>
    internal void Lea(Register register, int offset) => Code.AddInstruction(Instruction.Create(Iced.Intel.Code.Lea_r64_m, register, At(offset)));

    /// <summary>Eight bytes at a place of the monitor into a register.</summary>
    internal void Load(Register register, int offset) => Code.AddInstruction(Instruction.Create(Iced.Intel.Code.Mov_r64_rm64, register, At(offset)));

    /// <summary>Address of a place of the monitor in the view.</summary>
    internal long Address(int offset) => (long)_view + offset;

    private MemoryOperand At(int offset) => new(Register.RIP, Address(offset));

    /// <summary>The assembled bytes, and the rules in order of their offsets in the code.</summary>
    internal byte[] Assemble(out RecoveryPoint[] rules, out AssemblerResult result)
    {
        using MemoryStream bytes = new();
        result = Code.Assemble(new StreamCodeWriter(bytes), (ulong)Address(_origin), BlockEncoderOptions.ReturnNewInstructionOffsets);
        RecoveryPoint[] points = new RecoveryPoint[_rules.Count];
        for (int i = 0; i < points.Length; i++)
        {
            points[i] = new RecoveryPoint((int)((long)result.GetLabelRIP(_rules[i].At) - Address(_origin)), _rules[i].Kind, _rules[i].Operand);
        }
        rules = points;
        return bytes.ToArray();
    }
}
