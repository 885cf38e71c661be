using SoftSgx.Host.Interop;
using SoftSgx.Processor;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Ptrace;

/// <summary>ptrace(2) requests as functions. All of one tracee's must come from the one thread that traces it.</summary>
/// <remarks>Each returns false when the tracee is gone (ESRCH: killed while it was stopped), which a tracer must expect at any time.</remarks>
internal static unsafe class PtraceCalls
{
    private const int Options =
        PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC |
        PTRACE_O_TRACESECCOMP | PTRACE_O_EXITKILL;

    /// <summary>Takes a thread over; zero or the errno.</summary>
    internal static int Seize(int tid) =>
        Libc.Syscall(SYS_ptrace, PTRACE_SEIZE, tid, 0, Options) == 0 ? 0 : Libc.Errno;

    internal static bool GetRegs(int tid, out UserRegs regs)
    {
        // The kernel writes sizeof(user_regs_struct) bytes to the local: same layout, on this stack frame.
        fixed (UserRegs* p = &regs)
        {
            return Libc.Syscall(SYS_ptrace, PTRACE_GETREGS, tid, 0, (nint)p) == 0;
        }
    }

    internal static bool SetRegs(int tid, in UserRegs regs)
    {
        fixed (UserRegs* p = &regs)
        {
            return Libc.Syscall(SYS_ptrace, PTRACE_SETREGS, tid, 0, (nint)p) == 0;
        }
    }

    internal static bool GetSigInfo(int tid, out SigInfo info)
    {
        fixed (SigInfo* p = &info)
        {
            return Libc.Syscall(SYS_ptrace, PTRACE_GETSIGINFO, tid, 0, (nint)p) == 0;
        }
    }

    internal static bool SetSigInfo(int tid, in SigInfo info)
    {
        fixed (SigInfo* p = &info)
        {
            return Libc.Syscall(SYS_ptrace, PTRACE_SETSIGINFO, tid, 0, (nint)p) == 0;
        }
    }

    internal static bool GetSigMask(int tid, out ulong mask)
    {
        fixed (ulong* p = &mask)
        {
            return Libc.Syscall(SYS_ptrace, PTRACE_GETSIGMASK, tid, sizeof(ulong), (nint)p) == 0;
        }
    }

    internal static bool SetSigMask(int tid, ulong mask) =>
        Libc.Syscall(SYS_ptrace, PTRACE_SETSIGMASK, tid, sizeof(ulong), (nint)(&mask)) == 0;

    /// <summary>Reads a thread's XSAVE image (standard format); the length in bytes, or -1.</summary>
    internal static int GetXState(int tid, Span<byte> image)
    {
        fixed (byte* p = image)
        {
            IoVec vec = new() { Base = p, Length = (nuint)image.Length };
            return Libc.Syscall(SYS_ptrace, PTRACE_GETREGSET, tid, NT_X86_XSTATE, (nint)(&vec)) == 0 ? (int)vec.Length : -1;
        }
    }

    internal static bool SetXState(int tid, ReadOnlySpan<byte> image)
    {
        fixed (byte* p = image)
        {
            IoVec vec = new() { Base = p, Length = (nuint)image.Length };
            return Libc.Syscall(SYS_ptrace, PTRACE_SETREGSET, tid, NT_X86_XSTATE, (nint)(&vec)) == 0;
        }
    }

    /// <summary>
    /// Changes x87 and SSE state alone, by the first 512 bytes of an XSAVE image. For much of a thread's state this is what there is, and it is
    /// the cheaper request: the kernel need not allocate memory for a whole image.
    /// </summary>
    internal static bool SetFpRegs(int tid, ReadOnlySpan<byte> image)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(image.Length, XsaveLayout.LegacyRegionSize);
        fixed (byte* p = image)
        {
            return Libc.Syscall(SYS_ptrace, PTRACE_SETFPREGS, tid, 0, (nint)p) == 0;
        }
    }

    /// <summary>Number in the GDT of the last of the three segments that a thread has to itself (GDT_ENTRY_TLS_MAX, asm/segment.h).</summary>
    internal const int LastThreadSegment = 14;

    /// <summary>Makes that segment of a thread one with a limit, which the thread can read by LSL. New threads inherit it.</summary>
    internal static bool SetThreadSegment(int tid, uint limit)
    {
        const uint Seg32Bit = 1, Useable = 1 << 6;
        // struct user_desc (asm/ldt.h): entry number, base, limit, flags.
        uint* descriptor = stackalloc uint[4] { LastThreadSegment, 0, limit, Seg32Bit | Useable };
        return Libc.Syscall(SYS_ptrace, PTRACE_SET_THREAD_AREA, tid, LastThreadSegment, (nint)descriptor) == 0;
    }

    /// <summary>Takes the segment away again.</summary>
    internal static bool ClearThreadSegment(int tid)
    {
        const uint ReadExecOnly = 1 << 3, SegNotPresent = 1 << 5;
        uint* descriptor = stackalloc uint[4] { LastThreadSegment, 0, 0, ReadExecOnly | SegNotPresent };
        return Libc.Syscall(SYS_ptrace, PTRACE_SET_THREAD_AREA, tid, LastThreadSegment, (nint)descriptor) == 0;
    }

    internal static bool GetEventMessage(int tid, out ulong message)
    {
        fixed (ulong* p = &message)
        {
            return Libc.Syscall(SYS_ptrace, PTRACE_GETEVENTMSG, tid, 0, (nint)p) == 0;
        }
    }

    internal static bool Cont(int tid, int signal) => Libc.Syscall(SYS_ptrace, PTRACE_CONT, tid, 0, signal) == 0;

    /// <summary>Goes on until a signal, or to the next system call, which is not executed (PTRACE_SYSEMU).</summary>
    internal static bool ContWithoutCalls(int tid, int signal) => Libc.Syscall(SYS_ptrace, PTRACE_SYSEMU, tid, 0, signal) == 0;

    /// <summary>Executes one instruction, or with a signal that has a handler none: it stops at the handler's first.</summary>
    internal static bool SingleStep(int tid, int signal) => Libc.Syscall(SYS_ptrace, PTRACE_SINGLESTEP, tid, 0, signal) == 0;

    internal static bool ContToSyscall(int tid) => Libc.Syscall(SYS_ptrace, PTRACE_SYSCALL, tid, 0, 0) == 0;

    /// <summary>Makes a running thread stop: PTRACE_EVENT_STOP with SIGTRAP comes next, without any signal.</summary>
    internal static bool Interrupt(int tid) => Libc.Syscall(SYS_ptrace, PTRACE_INTERRUPT, tid, 0, 0) == 0;

    /// <summary>Lets a thread go on without a tracer.</summary>
    internal static bool Detach(int tid) => Libc.Syscall(SYS_ptrace, PTRACE_DETACH, tid, 0, 0) == 0;

    internal static bool Listen(int tid) => Libc.Syscall(SYS_ptrace, PTRACE_LISTEN, tid, 0, 0) == 0;

    /// <summary>Waits for any child or tracee of the calling thread; its thread id, or minus the errno.</summary>
    internal static int WaitAny(out WaitStatus status) => Wait(-1, __WALL | __WNOTHREAD, out status);

    /// <summary>Takes the end of a thread that has ended; false if there is none.</summary>
    internal static bool TakeEnd(int tid, out WaitStatus status) => Wait(tid, __WALL | WNOHANG, out status) == tid;

    /// <summary>
    /// As <see cref="WaitAny"/>, but leaves an end for <see cref="TakeEnd"/>; the status is zero then.
    /// </summary>
    internal static int WaitAnyStop(out WaitStatus status)
    {
        const int P_ALL = 0, P_PID = 1, CLD_TRAPPED = 4, CLD_STOPPED = 5, Options = __WALL | __WNOTHREAD;
        status = default;
        SigInfo info;
        if (Libc.Syscall(SYS_waitid, P_ALL, 0, (nint)(&info), WEXITED | WSTOPPED | WNOWAIT | Options, 0) != 0)
        {
            return -Libc.Errno;
        }
        int tid = info.SenderPid;
        if (info.Code is CLD_TRAPPED or CLD_STOPPED)
        {
            if (Libc.Syscall(SYS_waitid, P_PID, tid, (nint)(&info), WSTOPPED | WNOHANG | Options, 0) != 0 || info.SenderPid != tid)
            {
                return -EINTR; // SIGKILL has come in between
            }
            status = new WaitStatus((info.ChildStatus << 8) | 0x7f);
        }
        return tid;
    }

    /// <summary>Waits for one tracee of the calling thread; its thread id, or minus the errno, which is not EINTR.</summary>
    internal static int Wait(int tid, out WaitStatus status) => Wait(tid, __WALL, out status);

    private static int Wait(int tid, int options, out WaitStatus status)
    {
        int raw;
        nint result;
        int error;
        do
        {
            result = Libc.Syscall(SYS_wait4, tid, (nint)(&raw), options, 0);
            error = result < 0 ? Libc.Errno : 0;
        }
        while (error == EINTR && tid != -1);
        status = new WaitStatus(raw);
        return result < 0 ? -error : (int)result;
    }
}
