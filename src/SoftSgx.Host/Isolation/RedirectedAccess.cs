using Iced.Intel;
using SoftSgx.Host.Enclaves;
using SoftSgx.Host.Ptrace;
using SoftSgx.Host.Supervision;
using SoftSgx.Kernel;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Isolation;

/// <summary>An instruction of the program that touches enclave memory from outside, made one that touches other memory.</summary>
/// <remarks>
/// <para>
/// An operand with an address of its own is encoded again with a register that the instruction does not use. A string instruction is
/// copied as it is and its index registers are shifted; its repetitions are bounded, so that they stay in the slot and in the enclave.
/// </para>
/// <para>
/// At any moment the registers of the copy can be told as those of the program's instruction, not begun, partly done or done. So whatever
/// stops the thread meanwhile finds it where it would be on hardware.
/// </para>
/// </remarks>
internal sealed class RedirectedAccess
{
    /// <summary>Bytes that an operand of unknown size may have: XSAVE areas.</summary>
    private const int LargestOperand = 8192;

    private const ulong ZeroFlag = 0x40, DirectionFlag = 0x400;

    private readonly ulong _rip;
    private readonly int _length;
    private byte[] _copy = [];
    /// <summary>Of an operand its address; of a string instruction the base of RSI's segment.</summary>
    private ulong _address;
    private Register _borrowed;
    private ulong _borrowedValue;
    private bool _usesRsi, _usesRdi;
    private ulong _rsiShift, _rdiShift;
    private bool _repeats, _endsByFlag, _goesOnWhenZero;
    private ulong _count, _withheld;
    private int _elementSize;

    private RedirectedAccess(in Instruction instruction)
    {
        _rip = instruction.IP;
        _length = instruction.Length;
    }

    /// <summary>The slot that it is executed in.</summary>
    internal int Slot { get; set; }

    /// <summary>The thread had blocked SIGTRAP.</summary>
    internal bool TrapWasBlocked { get; set; }

    /// <summary>It writes, as far as enclave memory is concerned.</summary>
    internal bool Writes { get; private set; }

    /// <summary>It is a call: what it pushes is the address behind the copy.</summary>
    internal bool IsCall { get; private init; }

    /// <summary>The address behind the program's instruction.</summary>
    internal ulong Next => _rip + (ulong)_length;

    /// <summary>The copy of the instruction.</summary>
    internal ReadOnlySpan<byte> Copy => _copy;

    /// <summary>RCX at the beginning, by which one sees whether a string instruction did anything.</summary>
    internal ulong CountAtStart { get; private set; }

    /// <summary>
    /// The redirection of the instruction at RIP, which faulted at an address of enclave memory; null if it cannot be redirected, and if
    /// it is not the enclave that forbids the access.
    /// </summary>
    internal static RedirectedAccess? Find(AddressSpace space, in UserRegs regs, ulong faulting)
    {
        if (space.Enclaves.TryFind(regs.Rip, out _) || !FaultDecoder.TryDecodeAt(space, regs.Rip, out Instruction instruction))
        {
            return null;
        }
        RedirectedAccess access = new(instruction) { CountAtStart = regs.Rcx, IsCall = instruction.FlowControl == FlowControl.IndirectCall };
        bool ok = instruction.IsStringInstruction ? access.FindStrings(space, instruction, regs) : access.FindOperand(space, instruction, regs, faulting);
        return ok ? access : null;
    }

    /// <summary>Makes the registers those of the copy.</summary>
    /// <param name="regs">The registers.</param>
    /// <param name="slots">The address space's slots, of which <see cref="Slot"/> is this one's.</param>
    /// <param name="code">Where the copy is.</param>
    internal void Enter(ref UserRegs regs, AbortSlots slots, ulong code)
    {
        regs.Rip = code;
        if (_borrowed != Register.None)
        {
            ref ulong register = ref Borrow(ref regs, _borrowed);
            _borrowedValue = register;
            register = slots.DataFor(Slot, _address);
            return;
        }
        _rsiShift = _usesRsi ? slots.DataFor(Slot, regs.Rsi + _address) - (regs.Rsi + _address) : 0;
        _rdiShift = _usesRdi ? slots.DataFor(Slot, regs.Rdi) - regs.Rdi : 0;
        (regs.Rsi, regs.Rdi) = (regs.Rsi + _rsiShift, regs.Rdi + _rdiShift);
        if (_repeats)
        {
            _withheld = regs.Rcx - _count;
            regs.Rcx = _count;
        }
    }

    /// <summary>Fills what the copy is going to read with ones; <paramref name="regs"/> as <see cref="Enter"/> left them.</summary>
    internal bool Fill(AddressSpace space, in UserRegs regs)
    {
        if (_borrowed != Register.None)
        {
            UserRegs copy = regs;
            return FillWithOnes(space, Borrow(ref copy, _borrowed), _elementSize);
        }
        ulong before = (regs.Eflags & DirectionFlag) != 0 ? (_count - 1) * (ulong)_elementSize : 0;
        int length = (int)_count * _elementSize;
        return (!_usesRsi || FillWithOnes(space, regs.Rsi + _address - before, length)) && (!_usesRdi || FillWithOnes(space, regs.Rdi - before, length));
    }

    /// <summary>Makes the registers those of the program's instruction again, however far the copy came.</summary>
    /// <param name="regs">The registers.</param>
    /// <param name="code">Where the copy is.</param>
    /// <returns>True if it was executed to its end.</returns>
    internal bool Leave(ref UserRegs regs, ulong code)
    {
        bool isDone = regs.Rip - code - (ulong)_copy.Length <= 1; // before or behind the trap that follows it
        if (_borrowed != Register.None)
        {
            Borrow(ref regs, _borrowed) = _borrowedValue;
        }
        (regs.Rsi, regs.Rdi) = (regs.Rsi - _rsiShift, regs.Rdi - _rdiShift);
        bool goesOn = _withheld > 0 && regs.Rcx == 0 && (!_endsByFlag || ((regs.Eflags & ZeroFlag) != 0) == _goesOnWhenZero);
        regs.Rcx += _withheld;
        if (regs.Rip - code < AbortSlots.CodeSize || isDone)
        {
            regs.Rip = isDone && !goesOn ? Next : _rip;
        }
        return isDone;
    }

    private bool FindStrings(AddressSpace space, in Instruction instruction, in UserRegs regs)
    {
        // The index registers are whole ones, not ESI and EDI; INS and OUTS are no user's.
        bool hasRsi = false, hasRdi = false;
        for (int i = 0; i < instruction.OpCount; i++)
        {
            OpKind kind = instruction.GetOpKind(i);
            hasRsi |= kind == OpKind.MemorySegRSI;
            hasRdi |= kind == OpKind.MemoryESRDI;
            if (kind is not (OpKind.MemorySegRSI or OpKind.MemoryESRDI or OpKind.Register))
            {
                return false;
            }
        }
        _endsByFlag = instruction.Mnemonic is Mnemonic.Cmpsb or Mnemonic.Cmpsw or Mnemonic.Cmpsd or Mnemonic.Cmpsq
            or Mnemonic.Scasb or Mnemonic.Scasw or Mnemonic.Scasd or Mnemonic.Scasq;
        _repeats = instruction.HasRepPrefix || instruction.HasRepnePrefix;
        _goesOnWhenZero = instruction.HasRepPrefix;
        _elementSize = instruction.MemorySize.GetSize();
        _address = instruction.MemorySegment switch { Register.FS => regs.FsBase, Register.GS => regs.GsBase, _ => 0 };
        if (_elementSize == 0 || (_repeats && regs.Rcx == 0))
        {
            return false;
        }
        bool writes = hasRdi && !_endsByFlag;
        _count = _repeats ? Math.Min(regs.Rcx, PageSize / (ulong)_elementSize) : 1;
        _usesRsi = hasRsi && IsEnclave(space, regs.Rsi + _address, _elementSize, PageProtection.Read);
        _usesRdi = hasRdi && IsEnclave(space, regs.Rdi, _elementSize, writes ? PageProtection.Write : PageProtection.Read);
        bool down = (regs.Eflags & DirectionFlag) != 0;
        if (_usesRsi)
        {
            _count = Math.Min(_count, ElementsLeft(space, regs.Rsi + _address, down));
        }
        if (_usesRdi)
        {
            _count = Math.Min(_count, ElementsLeft(space, regs.Rdi, down));
            Writes = writes;
        }
        _copy = new byte[instruction.Length];
        return (_usesRsi || _usesRdi) && space.ReadCode(instruction.IP, _copy) == _copy.Length;
    }

    /// <summary>How many elements of a string lie in the mapping that its next one is in.</summary>
    private ulong ElementsLeft(AddressSpace space, ulong address, bool down) =>
        !space.Enclaves.TryFind(address, out EnclaveMapping mapping) ? 1
        : down ? ((address - mapping.Start) / (ulong)_elementSize) + 1
        : Math.Max((mapping.End - address) / (ulong)_elementSize, 1);

    private bool FindOperand(AddressSpace space, Instruction instruction, UserRegs regs, ulong faulting)
    {
        int operand = 0;
        while (operand < instruction.OpCount && instruction.GetOpKind(operand) != OpKind.Memory)
        {
            operand++;
        }
        if (operand == instruction.OpCount || instruction.IsVsib
            || !instruction.TryGetVirtualAddress(operand, 0, out _address, (Register register, int _, int _, out ulong value) => FaultDecoder.TryReadRegister(regs, register, out value)))
        {
            return false;
        }
        int size = instruction.MemorySize.GetSize();
        _elementSize = size > 0 ? size : LargestOperand;
        // A bit string's instruction touches other memory than its operand's when the bit's number is large.
        if (_elementSize > LargestOperand || faulting - _address >= (ulong)_elementSize)
        {
            return false;
        }
        InstructionInfo info = new InstructionInfoFactory().GetInfo(instruction);
        foreach (UsedMemory used in info.GetUsedMemory())
        {
            bool isKnown = used.TryGetVirtualAddress(0, out ulong start, (Register register, int _, int _, out ulong value) => FaultDecoder.TryReadRegister(regs, register, out value));
            if (isKnown && start == _address)
            {
                Writes |= used.Access is OpAccess.Write or OpAccess.CondWrite or OpAccess.ReadWrite or OpAccess.ReadCondWrite;
            }
            else if (!isKnown || space.Enclaves.TryFind(start, out _))
            {
                return false; // the stack in enclave memory
            }
        }
        if (!IsEnclave(space, _address, Math.Max(size, 1), Writes ? PageProtection.Write : PageProtection.Read))
        {
            return false;
        }
        _borrowed = FreeRegister(info);
        (instruction.MemoryBase, instruction.MemoryIndex, instruction.MemoryIndexScale) = (_borrowed, Register.None, 1);
        (instruction.MemoryDisplacement64, instruction.MemoryDisplSize, instruction.SegmentPrefix) = (0, 0, Register.None);
        instruction.Code = WithModRM(instruction.Code);
        using MemoryStream copy = new();
        Encoder encoder = Encoder.Create(64, new StreamCodeWriter(copy));
        bool isEncoded = _borrowed != Register.None && encoder.TryEncode(instruction, 0, out _, out _);
        _copy = copy.ToArray();
        return isEncoded && _copy.Length < AbortSlots.CodeSize;
    }

    /// <summary>
    /// A register that the instruction does not use. Of the first eight, which need no REX prefix: AH and its like allow none. Not RBP,
    /// which cannot be a base without a displacement.
    /// </summary>
    private static Register FreeRegister(in InstructionInfo info)
    {
        foreach (Register candidate in (ReadOnlySpan<Register>)[Register.RSI, Register.RDI, Register.RBX, Register.RDX, Register.RCX, Register.RAX])
        {
            bool isUsed = false;
            foreach (UsedRegister used in info.GetUsedRegisters())
            {
                isUsed |= used.Register.GetFullRegister() == candidate;
            }
            if (!isUsed)
            {
                return candidate;
            }
        }
        return Register.None;
    }

    private static ref ulong Borrow(ref UserRegs regs, Register register)
    {
        switch (register)
        {
            case Register.RSI:
                return ref regs.Rsi;
            case Register.RDI:
                return ref regs.Rdi;
            case Register.RBX:
                return ref regs.Rbx;
            case Register.RDX:
                return ref regs.Rdx;
            case Register.RCX:
                return ref regs.Rcx;
            default:
                return ref regs.Rax;
        }
    }

    /// <summary>The form with a register as base of those that have a whole address in the instruction.</summary>
    private static Code WithModRM(Code code) => code switch
    {
        Code.Mov_AL_moffs8 => Code.Mov_r8_rm8,
        Code.Mov_AX_moffs16 => Code.Mov_r16_rm16,
        Code.Mov_EAX_moffs32 => Code.Mov_r32_rm32,
        Code.Mov_RAX_moffs64 => Code.Mov_r64_rm64,
        Code.Mov_moffs8_AL => Code.Mov_rm8_r8,
        Code.Mov_moffs16_AX => Code.Mov_rm16_r16,
        Code.Mov_moffs32_EAX => Code.Mov_rm32_r32,
        Code.Mov_moffs64_RAX => Code.Mov_rm64_r64,
        _ => code,
    };

    /// <summary>True if an operand lies in memory of initialised enclaves, mapped so that the page tables would allow the access.</summary>
    private static bool IsEnclave(AddressSpace space, ulong address, int size, PageProtection needed) =>
        IsEnclave(space, address, needed) && IsEnclave(space, address + (ulong)size - 1, needed);

    private static bool IsEnclave(AddressSpace space, ulong address, PageProtection needed) =>
        space.Enclaves.TryFind(address, out EnclaveMapping mapping) && mapping.Owner.Enclave.IsInitialized
        && !(mapping.Owner.Enclave.TryFindPage(address, out _) && mapping.ExceedsMaximum(address))
        // Whatever can be written or executed can be read.
        && (needed == PageProtection.Read ? mapping.Protection != PageProtection.None : (mapping.Protection & needed) != 0);

    private static bool FillWithOnes(AddressSpace space, ulong address, int length)
    {
        Span<byte> ones = stackalloc byte[LargestOperand];
        ones = ones[..length];
        ones.Fill(0xFF);
        return space.Memory.Poke(address, ones);
    }
}
