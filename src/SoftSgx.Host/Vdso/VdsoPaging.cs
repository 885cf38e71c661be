using Iced.Intel;
using SoftSgx.Host.Paging;
using static Iced.Intel.AssemblerRegisters;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Vdso;

/// <summary>Code in the program that paging needs: the ageing process, and accesses that fault on purpose.</summary>
/// <remarks>
/// <para>
/// The ageing process shares the program's address space and nothing else. It has no stack of its own and touches none; R15 is the
/// address of the page that it shares with the supervisor (<see cref="AgeingPage"/>). It is made in two steps, so that it is never a
/// child of the program: the first process, which the program's thread reaps, makes the second and ends.
/// </para>
/// <code>
///   thread ── clone ──► first ── clone ──► ageing process: close_range, setpgid, loop
///     wait4 ◄─────────── exit
/// </code>
/// </remarks>
internal sealed class VdsoPaging
{
    /// <summary>
    /// The fourth argument (R10) by which the filters know an mprotect of the ageing process, and let it pass: the tracer, which would have to
    /// let it go on, may be the one that waits for it.
    /// </summary>
    internal const ulong ProtectMagic = 0x534F_4654_5347_5822;

    /// <summary>Instructions that take 3 to 50 ns each.</summary>
    private const int Pauses = 1 << 26;

    private VdsoPaging(byte[] code, int read, int write, int illegal, int breakpoint, int divide, int wait)
    {
        Code = code;
        ReadOffset = read;
        WriteOffset = write;
        IllegalOffset = illegal;
        BreakpointOffset = breakpoint;
        DivideOffset = divide;
        WaitOffset = wait;
    }

    /// <summary>The code; the first process starts at its first byte. It runs at any address.</summary>
    public byte[] Code { get; }

    /// <summary>Reads a byte at RDI.</summary>
    public int ReadOffset { get; }

    /// <summary>Writes a byte at RDI.</summary>
    public int WriteOffset { get; }

    /// <summary>An instruction that is #UD.</summary>
    public int IllegalOffset { get; }

    /// <summary>INT3.</summary>
    public int BreakpointOffset { get; }

    /// <summary>Divides by ECX, which is to be zero.</summary>
    public int DivideOffset { get; }

    /// <summary>
    /// Waits for a tracer without a system call. If none comes for a second or so of processor time, the supervisor was killed, and #UD ends
    /// the process as PTRACE_O_EXITKILL would have.
    /// </summary>
    public int WaitOffset { get; }

    public static VdsoPaging Assemble()
    {
        Assembler a = new(64);
        Label ageing = a.CreateLabel(), loop = a.CreateLabel(), work = a.CreateLabel(), next = a.CreateLabel(), done = a.CreateLabel();
        Label end = a.CreateLabel(), protect = a.CreateLabel(), call = a.CreateLabel(), read = a.CreateLabel(), write = a.CreateLabel(), illegal = a.CreateLabel(), breakpoint = a.CreateLabel(), divide = a.CreateLabel();
        Label wait = a.CreateLabel(), again = a.CreateLabel();

        // The descriptors are shared up to close_range below, which gives the ageing process a table of its own, empty at once: it
        // never holds a file of the program open.
        a.mov(eax, SYS_clone);
        a.mov(edi, CLONE_VM | CLONE_FILES);
        a.xor(esi, esi);
        a.xor(edx, edx);
        a.xor(r10d, r10d);
        a.xor(r8d, r8d);
        a.syscall();
        a.test(eax, eax);
        a.je(ageing);
        a.Label(ref end);
        a.xor(edi, edi);
        a.mov(eax, SYS_exit);
        a.syscall();

        a.Label(ref ageing);
        a.mov(eax, SYS_close_range);
        a.xor(edi, edi);
        a.mov(esi, -1);
        a.mov(edx, CLOSE_RANGE_UNSHARE);
        a.syscall();
        a.test(eax, eax);
        a.jne(end);
        a.mov(eax, SYS_setpgid); // what is sent to the program's process group is not for this one
        a.xor(edi, edi);
        a.xor(esi, esi);
        a.syscall();
        a.mov(eax, SYS_prctl);
        a.mov(edi, PR_SET_NAME);
        a.lea(rsi, __[r15 + AgeingPage.Name]);
        a.syscall();

        // EBX: the number of the command that was done last.
        a.xor(ebx, ebx);
        a.Label(ref loop);
        a.cmp(ebx, __dword_ptr[r15 + AgeingPage.Command]);
        a.jne(work);
        a.mov(eax, SYS_futex);
        a.lea(rdi, __[r15 + AgeingPage.Command]);
        a.xor(esi, esi); // FUTEX_WAIT, between processes
        a.mov(edx, ebx);
        a.xor(r10d, r10d);
        a.syscall();
        a.jmp(loop);

        a.Label(ref work);
        a.mov(ebx, __dword_ptr[r15 + AgeingPage.Command]);
        a.mov(r12d, __dword_ptr[r15 + AgeingPage.Count]);
        a.lea(r13, __[r15 + AgeingPage.Ranges]);
        a.Label(ref next);
        a.dec(r12d);
        a.js(done);
        a.mov(rdi, __qword_ptr[r13]);
        a.mov(rsi, __qword_ptr[r13 + 8]);
        a.cmp(__dword_ptr[r15 + AgeingPage.Operation], 0);
        a.jne(protect);
        a.mov(eax, SYS_madvise);
        a.mov(edx, MADV_DONTNEED_LOCKED);
        a.jmp(call);
        a.Label(ref protect);
        a.mov(eax, SYS_mprotect);
        a.mov(edx, esi);
        a.and(edx, PROT_READ | PROT_WRITE | PROT_EXEC);
        a.and(rsi, -(int)PageSize);
        a.mov(r10, ProtectMagic);
        a.Label(ref call);
        a.syscall();
        a.add(r13, AgeingPage.RangeSize);
        a.jmp(next);
        a.Label(ref done);
        a.mov(__dword_ptr[r15 + AgeingPage.Done], ebx);
        a.mov(eax, SYS_futex);
        a.lea(rdi, __[r15 + AgeingPage.Done]);
        a.mov(esi, FUTEX_WAKE);
        a.mov(edx, 1);
        a.syscall();
        a.jmp(loop);

        a.Label(ref read);
        a.mov(al, __byte_ptr[rdi]);
        a.ud2();
        a.Label(ref write);
        a.mov(__byte_ptr[rdi], al);
        a.Label(ref illegal);
        a.ud2();
        a.Label(ref breakpoint);
        a.int3();
        a.Label(ref divide);
        a.div(ecx);
        a.Label(ref wait);
        a.mov(ecx, Pauses);
        a.Label(ref again);
        a.pause();
        a.dec(ecx);
        a.jne(again);
        a.ud2();

        using MemoryStream code = new();
        AssemblerResult result = a.Assemble(new StreamCodeWriter(code), 0, BlockEncoderOptions.ReturnNewInstructionOffsets);
        return new VdsoPaging(
            code.ToArray(), (int)result.GetLabelRIP(read), (int)result.GetLabelRIP(write), (int)result.GetLabelRIP(illegal), (int)result.GetLabelRIP(breakpoint),
            (int)result.GetLabelRIP(divide), (int)result.GetLabelRIP(wait));
    }
}
