using System.Buffers.Binary;

namespace SoftSgx.Host.Seccomp;

/// <summary>Assembles a classic BPF program over <c>struct seccomp_data</c> with forward labels.</summary>
/// <remarks>linux/filter.h, linux/seccomp.h. Jump displacements are eight bits: a block may be at most 255 instructions.</remarks>
internal sealed class BpfAssembler
{
    /// <summary>Bytes of one <c>struct sock_filter</c>.</summary>
    internal const int InstructionSize = 8;

    private const ushort LoadWordAbsolute = 0x20, JumpIfEqual = 0x15, JumpIfSet = 0x45, JumpIfGreaterOrEqual = 0x35, AndConstant = 0x54, Return = 0x06;

    private const int OffsetOfNumber = 0, OffsetOfArch = 4, OffsetOfInstructionPointer = 8, OffsetOfArguments = 16;

    private readonly List<(ushort Code, byte True, byte False, uint K)> _program = [];
    private readonly List<(int At, bool OnTrue, int Label)> _references = [];
    private readonly List<int> _labels = [];

    internal int NewLabel()
    {
        _labels.Add(-1);
        return _labels.Count - 1;
    }

    internal void Place(int label) => _labels[label] = _program.Count;

    internal void LoadNumber() => Emit(LoadWordAbsolute, OffsetOfNumber);
    internal void LoadArch() => Emit(LoadWordAbsolute, OffsetOfArch);
    internal void LoadInstructionPointerLow() => Emit(LoadWordAbsolute, OffsetOfInstructionPointer);
    internal void LoadInstructionPointerHigh() => Emit(LoadWordAbsolute, OffsetOfInstructionPointer + 4);
    internal void LoadArgumentLow(int index) => Emit(LoadWordAbsolute, (uint)(OffsetOfArguments + (8 * index)));
    internal void LoadArgumentHigh(int index) => Emit(LoadWordAbsolute, (uint)(OffsetOfArguments + (8 * index) + 4));
    internal void And(uint mask) => Emit(AndConstant, mask);
    internal void Ret(uint action) => Emit(Return, action);

    /// <summary>Goes to <paramref name="label"/> when A equals <paramref name="value"/>, else falls through.</summary>
    internal void IfEqual(uint value, int label) => Jump(JumpIfEqual, value, label, onTrue: true);
    internal void IfNotEqual(uint value, int label) => Jump(JumpIfEqual, value, label, onTrue: false);
    internal void IfAnySet(uint bits, int label) => Jump(JumpIfSet, bits, label, onTrue: true);
    internal void IfNoneSet(uint bits, int label) => Jump(JumpIfSet, bits, label, onTrue: false);
    internal void IfAtLeast(uint value, int label) => Jump(JumpIfGreaterOrEqual, value, label, onTrue: true);

    /// <summary>The program as the kernel takes it: an array of <c>struct sock_filter</c>.</summary>
    internal byte[] Assemble()
    {
        foreach ((int at, bool onTrue, int label) in _references)
        {
            byte displacement = checked((byte)(_labels[label] - at - 1));
            _program[at] = onTrue ? _program[at] with { True = displacement } : _program[at] with { False = displacement };
        }
        byte[] bytes = new byte[_program.Count * InstructionSize];
        for (int i = 0; i < _program.Count; i++)
        {
            Span<byte> slot = bytes.AsSpan(i * InstructionSize, InstructionSize);
            BinaryPrimitives.WriteUInt16LittleEndian(slot, _program[i].Code);
            slot[2] = _program[i].True;
            slot[3] = _program[i].False;
            BinaryPrimitives.WriteUInt32LittleEndian(slot[4..], _program[i].K);
        }
        return bytes;
    }

    private void Emit(ushort code, uint k) => _program.Add((code, 0, 0, k));

    private void Jump(ushort code, uint k, int label, bool onTrue)
    {
        _references.Add((_program.Count, onTrue, label));
        Emit(code, k);
    }
}
