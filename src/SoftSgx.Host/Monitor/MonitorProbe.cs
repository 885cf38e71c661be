using SoftSgx.Host.Interop;
using SoftSgx.Host.Ptrace;
using SoftSgx.Host.Supervision;
using SoftSgx.Processor;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Monitor;

/// <summary>
/// Sends a thread a signal at a given instruction of the monitor, for tests: the program asks for it by an ioctl that no device has, and is
/// then executed step by step.
/// </summary>
/// <remarks>
/// <c>ioctl(fd, 0xA4F0, n)</c> on a device: SIGUSR1 before the n-th instruction that the thread executes in the monitor, counted from 1.
/// The call fails with ENOTTY as always.
/// </remarks>
internal static class MonitorProbe
{
    private const uint Command = 0xA4F0;

    /// <summary>A thread that has been so many instructions outside of the monitor is not coming back.</summary>
    private const int LongestWay = 5000;

    /// <summary>True if a call asks for a signal, which is then due.</summary>
    internal static void OnIoctl(TracedThread thread, in UserRegs regs)
    {
        if ((uint)regs.Rsi == Command && thread.Space.Monitor is not null)
        {
            thread.ProbeIdle = 0;
            thread.ProbeSteps = (int)Math.Min(regs.Rdx, 1000);
        }
    }

    /// <summary>A system call that is stepped into leaves the thread with the flag set, for good.</summary>
    internal static void OnCall(TracedThread thread, ref UserRegs regs)
    {
        if ((regs.Eflags & Rflags.TF) != 0 && thread.ProbeIdle + thread.ProbeSteps != 0)
        {
            regs.Eflags &= ~Rflags.TF;
            _ = PtraceCalls.SetRegs(thread.Tid, regs);
        }
    }

    /// <summary>The stop is that of a step; the thread goes on, by another step or with the signal.</summary>
    internal static bool OnStop(TracedThread thread, WaitStatus status)
    {
        if (thread.ProbeSteps == 0 || status is not { Event: 0, StopSignal: SIGTRAP, IsSyscallStop: false }
            || !PtraceCalls.GetRegs(thread.Tid, out UserRegs regs))
        {
            return false;
        }
        if (thread.Space.Monitor is MonitorArea area && area.TryLocate(regs.Rip, out _, out _))
        {
            thread.ProbeSteps--;
            thread.ProbeIdle = 0;
            if (thread.ProbeSteps == 0)
            {
                _ = Libc.Syscall(SYS_tkill, thread.Tid, SIGUSR1);
            }
        }
        else if (++thread.ProbeIdle > LongestWay)
        {
            thread.ProbeSteps = 0; // it has fewer instructions
        }
        if (thread.ProbeSteps == 0)
        {
            // A POPF that was stepped over, or a call, makes the kernel believe that the flag is the program's own.
            regs.Eflags &= ~Rflags.TF;
            _ = PtraceCalls.SetRegs(thread.Tid, regs);
        }
        _ = thread.ProbeSteps == 0 ? PtraceCalls.Cont(thread.Tid, 0) : PtraceCalls.SingleStep(thread.Tid, 0);
        return true;
    }
}
