using Iced.Intel;
using SoftSgx.Architecture;
using SoftSgx.Host.Enclaves;
using SoftSgx.Host.Memory;
using SoftSgx.Host.Ptrace;
using SoftSgx.Kernel;
using SoftSgx.Processor;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Supervision;

/// <summary>Turns the signal that a fault inside an enclave raised back into the processor's exception.</summary>
/// <remarks>
/// ptrace shows siginfo, not the trap number and error code of the exception, so they are derived: the vector from signal and code;
/// of a page fault W from the instruction, I from the address, P from the EPC, and the SGX bit from which of the three protections
/// of the page (the mapping's, the EPCM's, or being there at all) forbids the access.
/// </remarks>
internal static class FaultDecoder
{
    /// <summary>Longest x86 instruction in bytes.</summary>
    private const int MaximumInstruction = 15;

    /// <summary>The exception behind a synchronous signal that stopped a logical processor inside an enclave.</summary>
    internal static Fault Decode(AddressSpace space, LogicalProcessor enclave, in UserRegs regs, in SigInfo info)
    {
        switch (info.Signal)
        {
            case SIGILL:
                return Fault.InvalidOpcode();
            case SIGTRAP:
                return !IsBreakpoint(info) ? new Fault((byte)ExceptionVector.DB, 0, 0)
                    : !enclave.DebugOptIn ? Fault.InvalidOpcode()
                    : info.Code == TRAP_BRKPT ? new Fault((byte)ExceptionVector.DB, 0, 0)
                    : BreakpointLength(space, regs, info) == 1 ? new Fault((byte)ExceptionVector.BP, 0, 0)
                    : Fault.InvalidOpcode();
            case SIGFPE:
                return new Fault((byte)FloatingPointVector(space, regs, info), 0, 0);
            case SIGBUS when info.Code == BUS_ADRALN:
                return new Fault((byte)ExceptionVector.AC, 0, 0);
            case SIGSEGV when info.Code == SI_KERNEL:
            case SIGBUS when info.Code == SI_KERNEL:
                return info.Signal == SIGBUS ? new Fault((byte)ExceptionVector.SS, 0, 0)
                    : IsIllegalInside(space, regs) ? Fault.InvalidOpcode()
                    : Fault.GeneralProtection();
            default:
                PageFaultError error = PageFault(space, regs, info);
                // A fetch from outside the enclave is refused before any page table is asked (SDM vol. 3D, "Access control").
                return (error & PageFaultError.Instruction) != 0 && !enclave.IsInElrange(info.Address)
                    ? Fault.GeneralProtection()
                    : Fault.Page(info.Address & ~(PageSize - 1), error);
        }
    }

    /// <summary>
    /// INT3 reports SI_KERNEL, INT1 TRAP_BRKPT, any other debug exception TRAP_TRACE, TRAP_BRANCH or TRAP_HWBKPT (arch/x86/kernel/traps.c).
    /// </summary>
    internal static bool IsBreakpoint(in SigInfo info) => info.Signal == SIGTRAP && info.Code is SI_KERNEL or TRAP_BRKPT;

    /// <summary>
    /// Inside an enclave INT1 and INT3 are faults, not traps, and after an opt-out entry invalid opcodes (SDM vol. 3D, "Consideration of
    /// the INT1 and INT3 instructions"). How far RIP is behind the instruction: one of these, or INT n with 3, which never is one for
    /// enclaves. (On some virtual machines it is not behind INT1.)
    /// </summary>
    internal static int BreakpointLength(AddressSpace space, in UserRegs regs, in SigInfo info)
    {
        const byte Int1 = 0xF1, Int3 = 0xCC;
        Span<byte> around = stackalloc byte[2];
        int read = space.ReadCode(regs.Rip - 1, around);
        return info.Code == TRAP_BRKPT
            ? (read == 2 && around[0] != Int1 && around[1] == Int1 ? 0 : 1)
            : (read > 0 && around[0] != Int3 ? 2 : 1);
    }

    private static ExceptionVector FloatingPointVector(AddressSpace space, in UserRegs regs, in SigInfo info)
    {
        if (info.Code == FPE_INTDIV)
        {
            return ExceptionVector.DE;
        }
        // FPE_FLT* comes from the x87 as well as from SSE and AVX; the instruction that stopped tells which. An x87 exception is
        // reported by the next waiting instruction of the x87, so that is one too.
        bool isX87 = TryDecodeAt(space, regs.Rip, out Instruction instruction)
            && (instruction.Mnemonic == Mnemonic.Wait || Array.Exists(instruction.CpuidFeatures, feature => feature is CpuidFeature.FPU or CpuidFeature.FPU287 or CpuidFeature.FPU387));
        return isX87 ? ExceptionVector.MF : ExceptionVector.XM;
    }

    /// <summary>
    /// True for instructions that user mode may not execute anyway, with #GP, and that are #UD inside an enclave (SDM vol. 3D,
    /// "Instructions illegal inside an enclave"): input and output, and software interrupts.
    /// </summary>
    private static bool IsIllegalInside(AddressSpace space, in UserRegs regs) =>
        TryDecodeAt(space, regs.Rip, out Instruction instruction)
        && instruction.Mnemonic is Mnemonic.In or Mnemonic.Out or Mnemonic.Insb or Mnemonic.Insw or Mnemonic.Insd
            or Mnemonic.Outsb or Mnemonic.Outsw or Mnemonic.Outsd or Mnemonic.Int;

    private static PageFaultError PageFault(AddressSpace space, in UserRegs regs, in SigInfo info)
    {
        ulong address = info.Address;
        PageFaultError error = PageFaultError.User;
        PageProtection needed = PageProtection.Read;
        // A fetch faults at RIP, or on the next page when the instruction crosses into it.
        if (address == regs.Rip || (address > regs.Rip && address - regs.Rip < MaximumInstruction && address % PageSize == 0 && !DataOperandAt(space, regs, address)))
        {
            error |= PageFaultError.Instruction;
            needed = PageProtection.Execute;
        }
        else if (Writes(space, regs, address))
        {
            error |= PageFaultError.Write;
            needed = PageProtection.Write;
        }
        if (!space.Enclaves.TryFind(address, out EnclaveMapping mapping))
        {
            return PageTables.IsPresent(space.Tid, address) ? error | PageFaultError.Present : error;
        }
        Enclave enclave = mapping.Owner.Enclave;
        if (!enclave.TryFindPage(address, out _) || mapping.Protection == PageProtection.None || mapping.ExceedsMaximum(address))
        {
            return error; // no page table entry, or one without the present bit
        }
        if (info.Signal == SIGBUS)
        {
            return error; // the page could not be had; where one protection forbids the access, it would have been loaded first
        }
        error |= PageFaultError.Present;
        bool mappingAllows = (mapping.Protection & needed) != 0;
        bool epcmAllows = (enclave.EpcmProtection(address) & needed) != 0;
        return mappingAllows && !epcmAllows ? error | PageFaultError.Sgx : error;
    }

    private static bool Writes(AddressSpace space, in UserRegs regs, ulong address) => Touches(space, regs, address, writes: true);

    private static bool DataOperandAt(AddressSpace space, in UserRegs regs, ulong address) => Touches(space, regs, address, writes: false);

    /// <summary>True if the instruction at RIP touches the page of <paramref name="address"/>, with a write when asked for that.</summary>
    private static bool Touches(AddressSpace space, UserRegs regs, ulong address, bool writes)
    {
        if (!TryDecodeAt(space, regs.Rip, out Instruction instruction))
        {
            return false;
        }
        InstructionInfoFactory factory = new();
        foreach (UsedMemory used in factory.GetInfo(instruction).GetUsedMemory())
        {
            bool isWrite = used.Access is OpAccess.Write or OpAccess.CondWrite or OpAccess.ReadWrite or OpAccess.ReadCondWrite;
            if (writes && !isWrite)
            {
                continue;
            }
            if (used.TryGetVirtualAddress(0, out ulong start, (Register register, int _, int _, out ulong value) => TryReadRegister(regs, register, out value)))
            {
                ulong size = (ulong)Math.Max(used.MemorySize.GetSize(), 1);
                // An access may cross into the page that faulted; a push writes below the stack pointer that is shown.
                if (address + size > start && address < start + size)
                {
                    return true;
                }
            }
        }
        return false;
    }

    /// <summary>Decodes the instruction at an address; false if there is none that can be read.</summary>
    internal static bool TryDecodeAt(AddressSpace space, ulong rip, out Instruction instruction)
    {
        instruction = default;
        byte[] code = new byte[MaximumInstruction];
        int length = space.ReadCode(rip, code);
        if (length <= 0)
        {
            return false;
        }
        Decoder decoder = Decoder.Create(64, new ByteArrayCodeReader(code, 0, length), rip);
        decoder.Decode(out instruction);
        return !instruction.IsInvalid;
    }

    /// <summary>What Iced asks for to compute addresses: a register's value, or a segment's base.</summary>
    internal static bool TryReadRegister(in UserRegs regs, Register register, out ulong value)
    {
        value = RegisterValue(regs, register);
        return true;
    }

    private static ulong RegisterValue(in UserRegs regs, Register register) => register switch
    {
        Register.FS => regs.FsBase,
        Register.GS => regs.GsBase,
        Register.CS or Register.DS or Register.ES or Register.SS => 0,
        Register.RIP => regs.Rip,
        _ => FullRegister(regs, register.GetFullRegister()) & SizeMask(register),
    };

    private static ulong SizeMask(Register register) => register.GetSize() switch
    {
        4 => uint.MaxValue,
        2 => ushort.MaxValue,
        1 => byte.MaxValue,
        _ => ulong.MaxValue,
    };

    private static ulong FullRegister(in UserRegs regs, Register register) => register switch
    {
        Register.RAX => regs.Rax,
        Register.RBX => regs.Rbx,
        Register.RCX => regs.Rcx,
        Register.RDX => regs.Rdx,
        Register.RSI => regs.Rsi,
        Register.RDI => regs.Rdi,
        Register.RBP => regs.Rbp,
        Register.RSP => regs.Rsp,
        Register.R8 => regs.R8,
        Register.R9 => regs.R9,
        Register.R10 => regs.R10,
        Register.R11 => regs.R11,
        Register.R12 => regs.R12,
        Register.R13 => regs.R13,
        Register.R14 => regs.R14,
        Register.R15 => regs.R15,
        _ => 0,
    };
}
