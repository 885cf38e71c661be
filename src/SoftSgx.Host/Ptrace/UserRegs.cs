using System.Runtime.InteropServices;
using SoftSgx.Processor;

namespace SoftSgx.Host.Ptrace;

/// <summary>The general registers of a stopped x86-64 thread.</summary>
/// <remarks><c>struct user_regs_struct</c>, sys/user.h: 27 unsigned 64-bit fields.</remarks>
[StructLayout(LayoutKind.Sequential, Pack = 8)]
internal struct UserRegs
{
    internal ulong R15, R14, R13, R12, Rbp, Rbx, R11, R10, R9, R8, Rax, Rcx, Rdx, Rsi, Rdi, OrigRax, Rip, Cs, Eflags, Rsp, Ss;
    internal ulong FsBase, GsBase, Ds, Es, Fs, Gs;

    /// <summary>CS of a 32-bit user-mode code segment (__USER32_CS).</summary>
    internal const ulong User32Cs = 0x23;

    /// <summary>Puts these registers into the processor model's register file.</summary>
    internal readonly void CopyTo(out RegisterFile file) => file = new RegisterFile
    {
        Rax = Rax, Rbx = Rbx, Rcx = Rcx, Rdx = Rdx, Rsi = Rsi, Rdi = Rdi, Rbp = Rbp, Rsp = Rsp,
        R8 = R8, R9 = R9, R10 = R10, R11 = R11, R12 = R12, R13 = R13, R14 = R14, R15 = R15,
        Rip = Rip, Rflags = Eflags, FsBase = FsBase, GsBase = GsBase,
    };

    /// <summary>Takes the registers that a leaf or an asynchronous exit produced.</summary>
    internal void CopyFrom(in RegisterFile file)
    {
        (Rax, Rbx, Rcx, Rdx) = (file.Rax, file.Rbx, file.Rcx, file.Rdx);
        (Rsi, Rdi, Rbp, Rsp) = (file.Rsi, file.Rdi, file.Rbp, file.Rsp);
        (R8, R9, R10, R11) = (file.R8, file.R9, file.R10, file.R11);
        (R12, R13, R14, R15) = (file.R12, file.R13, file.R14, file.R15);
        (Rip, Eflags, FsBase, GsBase) = (file.Rip, file.Rflags, file.FsBase, file.GsBase);
        // The thread is not inside a system call any more: nothing must be restarted at the new RIP.
        OrigRax = ulong.MaxValue;
    }
}
