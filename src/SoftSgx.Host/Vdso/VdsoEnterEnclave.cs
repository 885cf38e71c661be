using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace SoftSgx.Host.Vdso;

/// <summary>The code of <c>__vdso_sgx_enter_enclave</c>, with a trap to the supervisor where hardware has ENCLU.</summary>
/// <remarks>
/// <para>The contract is that of <c>vdso_sgx_enter_enclave_t</c> in the kernel's user interface header <c>asm/sgx.h</c>:</para>
/// <code>
/// int (rdi, rsi, rdx, ecx: leaf, r8, r9, [rsp+8]: struct sgx_enclave_run *run)
///
/// struct sgx_enclave_run                      frame
///   0  u64 tcs                                  rbp+16  run
///   8  u32 function                             rbp+8   return address
///  12  u16 exception_vector                     rbp     caller's rbp
///  14  u16 exception_error_code                 rbp-8   caller's rbx
///  16  u64 exception_addr                       rsp     untrusted stack, which the enclave may use and move
///  24  u64 user_handler
///  32  u64 user_data
///  40  u8  reserved[216], zero
/// </code>
/// <para>
/// ENCLU itself would raise SIGILL, and a forced signal leaves marks on the program: a blocked or ignored SIGILL loses its
/// handler. So the trap is an rt_sigreturn with a magic fourth argument: every sandbox allows that call, a seccomp filter
/// tells it from a genuine one, and the stopped thread has no signal pending. The three registers which that needs lie below
/// the stack pointer meanwhile (signal frames stay clear of those 128 bytes); RCX, which SYSCALL destroys, was the AEP, and
/// what SYSCALL puts there, the address behind it, is what EENTER hands to the enclave.
/// </para>
/// <para>After an asynchronous exit the thread goes on at the AEP with RAX = ERESUME, and the trap repeats with that leaf.</para>
/// </remarks>
internal sealed class VdsoEnterEnclave
{
    /// <summary>The fourth argument of rt_sigreturn that means a trap: "SOFTSGX!", read from its highest byte down.</summary>
    public const ulong TrapMagic = 0x534F_4654_5347_5821;

    private const int EENTER = 2;
    private const int ERESUME = 3;
    private const int EEXIT = 4;
    private const int EINVAL = 22;
    private const int SYS_rt_sigreturn = 15;

    private const int RunTcs = 0;
    private const int RunFunction = 8;
    private const int RunExceptionVector = 12;
    private const int RunExceptionErrorCode = 14;
    private const int RunExceptionAddr = 16;
    private const int RunUserHandler = 24;
    private const int RunReserved = 40;
    private const int RunSize = 256;

    private VdsoEnterEnclave(byte[] code, Offsets offsets)
    {
        Code = code;
        At = offsets;
    }

    /// <summary>The function; it runs at any address.</summary>
    public byte[] Code { get; }

    public Offsets At { get; }

    /// <summary>Places in the function, in bytes from its start.</summary>
    /// <param name="Aep">The asynchronous exit pointer: the first instruction of the trap.</param>
    /// <param name="Trap">The trap itself, without what the monitor puts before it.</param>
    /// <param name="TrapReturn">Behind the trap: where EEXIT arrives.</param>
    /// <param name="Exception">Where an exception is reported: EAX leaf, DI vector, SI error code, RDX address.</param>
    /// <param name="AfterPushRbp">RBP is saved; the frame is still addressed by RSP.</param>
    /// <param name="AfterMoveRbp">The frame is addressed by RBP from here on.</param>
    /// <param name="AfterPushRbx">RBX is saved.</param>
    /// <param name="AfterLoadRbx">RBX is the caller's again.</param>
    /// <param name="AfterLeave">RBP and RSP are the caller's again.</param>
    public readonly record struct Offsets(
        int Aep, int Trap, int TrapReturn, int Exception,
        int AfterPushRbp, int AfterMoveRbp, int AfterPushRbx, int AfterLoadRbx, int AfterLeave);

    /// <summary>What stands at the AEP until the monitor puts a jump there: an instruction of five bytes that does nothing.</summary>
    public static ReadOnlySpan<byte> PatchArea => [0x0F, 0x1F, 0x44, 0x00, 0x00];

    public static VdsoEnterEnclave Assemble()
    {
        const int Alignment = 8;
        for (int padding = 0; ; padding++)
        {
            // More than once around at most: jumps over the padding may become longer by it.
            VdsoEnterEnclave code = Assemble(padding);
            if (code.At.Aep % Alignment == 0)
            {
                return code;
            }
        }
    }

    private static VdsoEnterEnclave Assemble(int padding)
    {
        Assembler a = new(64);
        Label afterPushRbp = a.CreateLabel();
        Label afterMoveRbp = a.CreateLabel();
        Label afterPushRbx = a.CreateLabel();
        Label enter = a.CreateLabel();
        Label checkReserved = a.CreateLabel();
        Label aep = a.CreateLabel();
        Label trap = a.CreateLabel();
        Label trapReturn = a.CreateLabel();
        Label exited = a.CreateLabel();
        Label callHandler = a.CreateLabel();
        Label exception = a.CreateLabel();
        Label invalid = a.CreateLabel();
        Label leave = a.CreateLabel();
        Label afterLoadRbx = a.CreateLabel();
        Label afterLeave = a.CreateLabel();

        a.push(rbp);
        a.Label(ref afterPushRbp);
        a.mov(rbp, rsp);
        a.Label(ref afterMoveRbp);
        a.push(rbx);
        a.Label(ref afterPushRbx);
        a.mov(eax, ecx);

        // EAX is the leaf, the caller's or the handler's. RDI, RSI, RDX, R8 and R9 belong to the enclave: RBX and RCX are free.
        a.Label(ref enter);
        a.cmp(eax, EENTER);
        a.jb(invalid);
        a.cmp(eax, ERESUME);
        a.ja(invalid);
        a.mov(rbx, __qword_ptr[rbp + 16]);
        a.mov(ecx, (RunSize - RunReserved) / 8);
        a.Label(ref checkReserved);
        a.cmp(__qword_ptr[rbx + rcx * 8 + (RunReserved - 8)], 0);
        a.jne(invalid);
        a.dec(ecx);
        a.jne(checkReserved);
        a.mov(rbx, __qword_ptr[rbx + RunTcs]);
        a.lea(rcx, __[aep]);

        // ENCLU. The monitor puts a jump into the first five bytes, which must lie in eight aligned ones.
        for (int i = 0; i < padding; i++)
        {
            a.nop();
        }
        a.Label(ref aep);
        a.db(PatchArea.ToArray());
        a.Label(ref trap);
        a.mov(__qword_ptr[rsp - 8], rax);
        a.mov(__qword_ptr[rsp - 16], r10);
        a.mov(__qword_ptr[rsp - 24], r11);
        a.mov(eax, SYS_rt_sigreturn);
        a.mov(r10, TrapMagic);
        a.syscall();

        // EEXIT. The exception fields of an earlier report stay, as they do under Linux.
        a.Label(ref trapReturn);
        a.mov(rbx, __qword_ptr[rbp + 16]);
        a.mov(__dword_ptr[rbx + RunFunction], EEXIT);

        // RBX is run. The enclave may have left the direction flag set, which neither the handler nor the caller expects.
        a.Label(ref exited);
        a.cld();
        a.mov(rax, __qword_ptr[rbx + RunUserHandler]);
        a.test(rax, rax);
        a.jne(callHandler);
        a.xor(eax, eax);
        a.jmp(leave);

        // int handler(rdi, rsi, rdx, rcx: the stack pointer at the exit, r8, r9, [rsp+8]: run). RBX, which it preserves, keeps
        // that stack pointer: an enclave that left data on the stack finds it again when the handler enters it once more.
        a.Label(ref callHandler);
        a.mov(rcx, rsp);
        a.and(rsp, -16);
        a.push(rax);
        a.push(rbx);
        a.mov(rbx, rcx);
        a.call(rax);
        a.test(eax, eax);
        a.jle(leave);
        a.mov(rsp, rbx);
        a.jmp(enter);

        a.Label(ref exception);
        a.mov(rbx, __qword_ptr[rbp + 16]);
        a.mov(__dword_ptr[rbx + RunFunction], eax);
        a.mov(__word_ptr[rbx + RunExceptionVector], di);
        a.mov(__word_ptr[rbx + RunExceptionErrorCode], si);
        a.mov(__qword_ptr[rbx + RunExceptionAddr], rdx);
        a.jmp(exited);

        a.Label(ref invalid);
        a.mov(eax, -EINVAL);

        // The frame is found by RBP, which the enclave must preserve; RSP may have moved.
        a.Label(ref leave);
        a.mov(rbx, __qword_ptr[rbp - 8]);
        a.Label(ref afterLoadRbx);
        a.leave();
        a.Label(ref afterLeave);
        a.ret();

        using MemoryStream code = new();
        AssemblerResult result = a.Assemble(new StreamCodeWriter(code), 0, BlockEncoderOptions.ReturnNewInstructionOffsets);
        int At(Label label) => (int)result.GetLabelRIP(label);
        return new VdsoEnterEnclave(code.ToArray(), new Offsets(
            At(aep), At(trap), At(trapReturn), At(exception),
            At(afterPushRbp), At(afterMoveRbp), At(afterPushRbx), At(afterLoadRbx), At(afterLeave)));
    }
}
