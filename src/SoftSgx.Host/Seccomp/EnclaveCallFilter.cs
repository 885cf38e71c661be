using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Seccomp;

/// <summary>
/// A filter that stops every system call made from an enclave, whatever it is: there it is #UD. And changes of the signal mask, which concern
/// the monitor: see <see cref="Supervision.TracedThread.MayEnterDirectly"/>. And what has to do with a thread's processors, which
/// <see cref="Supervision.ProcessorFollower"/> changes for moments.
/// </summary>
/// <remarks>Of any kind: SYSCALL, and INT 0x80 and SYSENTER, which are calls of another architecture.</remarks>
internal static class EnclaveCallFilter
{
    /// <summary>Makes it.</summary>
    /// <param name="start">First address of the enclave; a multiple of <paramref name="length"/>.</param>
    /// <param name="length">Its size in bytes, a power of two.</param>
    internal static byte[] Assemble(ulong start, ulong length)
    {
        BpfAssembler a = new();
        int allow = a.NewLabel(), calls = a.NewLabel(), trace = a.NewLabel();

        // What may block a fault's signal.
        const int SIG_UNBLOCK = 1;
        a.LoadArch();
        a.IfNotEqual(AUDIT_ARCH_X86_64, calls);
        a.LoadNumber();
        a.IfEqual(SYS_sched_setaffinity, trace);
        a.IfEqual(SYS_sched_getaffinity, trace);
        a.IfNotEqual(SYS_rt_sigprocmask, calls);
        a.LoadArgumentLow(0);
        a.IfEqual(SIG_UNBLOCK, calls);
        a.LoadArgumentLow(1);
        a.IfEqual(0, calls);
        a.Place(trace);
        a.Ret(SECCOMP_RET_TRACE);
        a.Place(calls);
        ulong mask = ~(length - 1);
        a.LoadInstructionPointerHigh();
        a.And((uint)(mask >> 32));
        a.IfNotEqual((uint)(start >> 32), allow);
        a.LoadInstructionPointerLow();
        a.And((uint)mask);
        a.IfNotEqual((uint)start, allow);
        a.Ret(SECCOMP_RET_TRACE);
        a.Place(allow);
        a.Ret(SECCOMP_RET_ALLOW);
        return a.Assemble();
    }
}
