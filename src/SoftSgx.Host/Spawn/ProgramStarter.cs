using System.Runtime.InteropServices;
using SoftSgx.Host.Interop;
using SoftSgx.Host.Ptrace;
using SoftSgx.Host.Seccomp;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Spawn;

/// <summary>Starts the program seized by ptrace and under the seccomp filter, in the state the shell would have started it in.</summary>
internal static unsafe class ProgramStarter
{
    /// <summary>
    /// Starts <paramref name="path"/>. On return the child is a tracee of the calling thread, not stopped; its first stop is the
    /// exec event, or its end if the exec failed (then <see cref="SyscallScript.Failure"/> of <paramref name="script"/> says why).
    /// </summary>
    internal static StartedProgram Start(SyscallScript script, byte[] path, IReadOnlyList<byte[]> arguments, LaunchEnvironment launch)
    {
        int* pipe = stackalloc int[2];
        if (Libc.Pipe2(pipe, O_CLOEXEC) != 0)
        {
            return new StartedProgram(0, Libc.Errno, "pipe2");
        }
        (int readEnd, int writeEnd) = (pipe[0], pipe[1]);
        try
        {
            ulong allSignals = ulong.MaxValue;
            ulong previousMask;
            _ = Libc.Syscall(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, (nint)(&allSignals), (nint)(&previousMask), sizeof(ulong));
            int pid;
            try
            {
                Compose(script, readEnd, writeEnd, path, arguments, launch, previousMask);
                pid = script.CloneAndRun();
            }
            finally
            {
                _ = Libc.Syscall(SYS_rt_sigprocmask, 2, (nint)(&previousMask), 0, sizeof(ulong));
            }
            if (pid < 0)
            {
                return new StartedProgram(0, -pid, "clone");
            }
            int errno = PtraceCalls.Seize(pid);
            if (errno != 0)
            {
                _ = Libc.Kill(pid, SIGKILL);
                _ = PtraceCalls.Wait(pid, out _);
                return new StartedProgram(0, errno, "ptrace");
            }
            byte go = 1;
            _ = Libc.Write(writeEnd, &go, 1);
            return new StartedProgram(pid, 0, "");
        }
        finally
        {
            _ = Libc.Close(readEnd);
            _ = Libc.Close(writeEnd);
        }
    }

    private static void Compose(
        SyscallScript script, int readEnd, int writeEnd, byte[] path, IReadOnlyList<byte[]> arguments, LaunchEnvironment launch, ulong mask)
    {
        nint scratch = script.Keep(new byte[8]);
        script.Add("close", SYS_close, writeEnd);
        script.Add("read", SYS_read, readEnd, scratch, 1);
        if (launch.OpenFilesSoftLimit is ulong soft)
        {
            ulong* limit = stackalloc ulong[2];
            if (Libc.GetRLimit(RLIMIT_NOFILE, limit) == 0 && soft <= limit[1])
            {
                nint pair = script.Keep(MemoryMarshal.AsBytes<ulong>([soft, limit[1]]));
                script.Add("setrlimit", SYS_setrlimit, RLIMIT_NOFILE, pair, tolerated: true);
            }
        }

        nint byDefault = script.Keep(new byte[32]);
        nint ignore = script.Keep(MemoryMarshal.AsBytes<ulong>([SIG_IGN, 0, 0, 0]));
        for (int signal = 1; signal <= SIGRTMAX; signal++)
        {
            if (signal is not (SIGKILL or SIGSTOP))
            {
                bool ignored = (launch.IgnoredSignals & LaunchEnvironment.SignalBit(signal)) != 0;
                script.Add("rt_sigaction", SYS_rt_sigaction, signal, ignored ? ignore : byDefault, 0, sizeof(ulong));
            }
        }

        // A filter may be installed without privileges only by a process that gives up gaining any (seccomp(2)).
        script.Add("prctl(PR_SET_NO_NEW_PRIVS)", SYS_prctl, PR_SET_NO_NEW_PRIVS, 1);
        byte[] filter = SeccompFilters.Base();
        nint instructions = script.Keep(filter);
        nint program = script.Keep(MemoryMarshal.AsBytes<long>([filter.Length / BpfAssembler.InstructionSize, instructions]));
        script.Add("seccomp", SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, program);

        nint oldMask = script.Keep(MemoryMarshal.AsBytes<ulong>([mask]));
        script.Add("rt_sigprocmask", SYS_rt_sigprocmask, 2, oldMask, 0, sizeof(ulong));
        script.Add("execve", SYS_execve, Text(script, path), Vector(script, arguments), Vector(script, launch.Environment));
    }

    private static nint Text(SyscallScript script, byte[] text)
    {
        byte[] terminated = new byte[text.Length + 1];
        text.CopyTo(terminated, 0);
        return script.Keep(terminated);
    }

    private static nint Vector(SyscallScript script, IReadOnlyList<byte[]> texts)
    {
        nint[] pointers = new nint[texts.Count + 1];
        for (int i = 0; i < texts.Count; i++)
        {
            pointers[i] = Text(script, texts[i]);
        }
        return script.Keep(MemoryMarshal.AsBytes<nint>(pointers));
    }
}
