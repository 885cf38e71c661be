using SoftSgx.Host.Cpuid;
using SoftSgx.Host.Ptrace;
using SoftSgx.Host.Signals;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Supervision;

/// <summary>Answers the CPUID instructions that were replaced in the program's code.</summary>
internal sealed class CpuidTraps
{
    private const int CpuidLength = 2;

    private readonly CpuidFeatures _features;

    internal CpuidTraps(CpuidFeatures features) => _features = features;

    /// <summary>Emulates if a replaced CPUID stands at RIP, and lets the thread go on.</summary>
    internal bool TryEmulate(TracedThread thread, ProgramImage image, ref UserRegs regs)
    {
        Span<byte> code = stackalloc byte[CpuidLength];
        if (!thread.Space.CpuidSites.Contains(regs.Rip) || !thread.Space.Memory.Peek(regs.Rip, code) || code is not [0x0F, 0x0B])
        {
            return false;
        }
        Architecture.CpuidResult result = CpuidEmulation.Execute((uint)regs.Rax, (uint)regs.Rcx, _features);
        (regs.Rax, regs.Rbx, regs.Rcx, regs.Rdx) = (result.Eax, result.Ebx, result.Ecx, result.Edx);
        regs.Rip += CpuidLength;
        regs.OrigRax = ulong.MaxValue;
        _ = ForcedSignal.At(thread, SIGILL).Undo(thread, image, ref regs);
        if (thread.Ended is null && PtraceCalls.SetRegs(thread.Tid, regs))
        {
            _ = PtraceCalls.Cont(thread.Tid, 0);
        }
        return true;
    }
}
