using SoftSgx.Host.Cpuid;
using SoftSgx.Host.Ptrace;
using SoftSgx.Host.Signals;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Supervision;

/// <summary>Answers the CPUID instructions that were replaced in the program's code.</summary>
internal sealed class CpuidTraps
{
    private const int CpuidLength = 2;

    /// <summary>As many answers are kept; a program can ask for more leaves than there are.</summary>
    private const int MaximumAnswers = 1024;

    private readonly CpuidFeatures _features;

    /// <summary>Answers by leaf and subleaf: on a virtual machine CPUID itself traps, and costs as much as many system calls.</summary>
    private readonly Dictionary<(uint Leaf, uint Subleaf), Architecture.CpuidResult> _answers = [];

    internal CpuidTraps(CpuidFeatures features) => _features = features;

    /// <summary>Emulates if a replaced CPUID stands at RIP, and lets the thread go on.</summary>
    internal bool TryEmulate(TracedThread thread, ProgramImage image, ref UserRegs regs)
    {
        Span<byte> code = stackalloc byte[CpuidLength];
        if (!thread.Space.CpuidSites.Contains(regs.Rip) || !thread.Space.Memory.Peek(regs.Rip, code) || code is not [0x0F, 0x0B])
        {
            return false;
        }
        Architecture.CpuidResult result = Answer((uint)regs.Rax, (uint)regs.Rcx);
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

    private Architecture.CpuidResult Answer(uint leaf, uint subleaf)
    {
        lock (_answers)
        {
            if (!_answers.TryGetValue((leaf, subleaf), out Architecture.CpuidResult result))
            {
                result = CpuidEmulation.Execute(leaf, subleaf, _features);
                if (!CpuidEmulation.DiffersByProcessor(leaf) && _answers.Count < MaximumAnswers)
                {
                    _answers.Add((leaf, subleaf), result);
                }
            }
            return result;
        }
    }
}
