using System.Buffers.Binary;
using System.Runtime.InteropServices;
using SoftSgx.Host.Interop;
using SoftSgx.Host.Ptrace;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host.Signals;

/// <summary>Passes signals that are sent to the supervisor on to the program, as if the program had its process id.</summary>
/// <remarks>
/// <para>
/// What the terminal sends (SI_KERNEL: Ctrl-C and the like) goes to the whole foreground group and so reaches the program by
/// itself; the supervisor only must not die of it. What a process sends to us alone is forwarded.
/// </para>
/// <para>
/// No managed code can run in a signal handler, which may interrupt the runtime anywhere. The handler is a few instructions that
/// write the siginfo to a pipe; a thread reads it there.
/// </para>
/// </remarks>
internal sealed unsafe class SignalForwarder
{
    /// <summary>Offset of the pipe's descriptor in <see cref="Handler"/>.</summary>
    private const int DescriptorOffset = 0x15;

    /// <summary>void handler(int signal, siginfo_t* info /*rsi*/, void* context): write(fd, info, 128).</summary>
    private static ReadOnlySpan<byte> Handler =>
    [
        0xBA, 0x80, 0x00, 0x00, 0x00,           // mov edx, 128
        0x8B, 0x3D, 0x0A, 0x00, 0x00, 0x00,     // mov edi, [rip+10]     the descriptor
        0xB8, 0x01, 0x00, 0x00, 0x00,           // mov eax, 1            write
        0x0F, 0x05,                             // syscall
        0xC3,                                   // ret
        0x90, 0x90,                             // (alignment)
        0x00, 0x00, 0x00, 0x00,                 // the descriptor
    ];

    private static readonly int[] s_forwarded =
    [
        SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGTERM, SIGTSTP, SIGWINCH,
        SIGURG, SIGVTALRM, SIGPROF, SIGIO, SIGPWR,
    ];

    /// <summary>void handler(int signal): adds one to a counter.</summary>
    private static ReadOnlySpan<byte> CountingHandler =>
    [
        0x48, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0,     // mov rax, the counter's address
        0xF0, 0xFF, 0x00,                       // lock inc dword [rax]
        0xC3,                                   // ret
    ];

    /// <summary>How often this process was continued (SIGCONT), whether it was stopped or not.</summary>
    private static readonly int* s_continued = (int*)NativeMemory.AllocZeroed(sizeof(int));

    private readonly int _readEnd;
    private volatile int _program;

    private SignalForwarder(int readEnd) => _readEnd = readEnd;

    /// <summary>Installs the handlers; signals are forwarded from <see cref="StartForwarding"/> on, and kept until then.</summary>
    internal static SignalForwarder Install()
    {
        int* pipe = stackalloc int[2];
        if (Libc.Pipe2(pipe, O_CLOEXEC) != 0)
        {
            throw new HostException($"pipe2 failed (errno {Libc.Errno})");
        }
        Span<byte> code = stackalloc byte[Handler.Length];
        Handler.CopyTo(code);
        BinaryPrimitives.WriteInt32LittleEndian(code[DescriptorOffset..], pipe[1]);
        nint handler = ExecutableMemory.Allocate(code); // lives as long as the process
        foreach (int signal in s_forwarded)
        {
            Set(signal, handler, SA_SIGINFO | SA_RESTART);
        }
        // The terminal's stop signals stop the program; we follow it deliberately (Supervisor.OnEventStop).
        foreach (int signal in (int[])[SIGTTIN, SIGTTOU])
        {
            Set(signal, (nint)SIG_IGN, 0);
        }
        Span<byte> counting = stackalloc byte[CountingHandler.Length];
        CountingHandler.CopyTo(counting);
        BinaryPrimitives.WriteInt64LittleEndian(counting[2..], (nint)s_continued);
        Set(SIGCONT, ExecutableMemory.Allocate(counting), SA_RESTART);
        return new SignalForwarder(pipe[0]);
    }

    /// <inheritdoc cref="s_continued"/>
    internal static int Continued => Volatile.Read(ref *s_continued);

    internal void StartForwarding(int program)
    {
        _program = program;
        new Thread(ForwardAll) { IsBackground = true, Name = "signals" }.Start();
    }

    /// <summary>Ends this process by the signal that ended the program, so that whoever waits for us sees the same.</summary>
    internal static void DieOf(int signal)
    {
        ulong* none = stackalloc ulong[2] { 0, 0 };
        _ = Libc.SetRLimit(RLIMIT_CORE, none); // the core that matters is the program's
        Set(signal, (nint)SIG_DFL, 0);
        ulong mask = 0;
        _ = Libc.Syscall(SYS_rt_sigprocmask, 2, (nint)(&mask), 0, sizeof(ulong));
        _ = Libc.Kill(Libc.GetPid(), signal);
        Libc.ExitNow(128 + signal); // the signal does not end processes
    }

    private void ForwardAll()
    {
        SigInfo info = default;
        while (Libc.Read(_readEnd, &info, (nuint)sizeof(SigInfo)) == sizeof(SigInfo))
        {
            bool reachedProgram = info.Code == SI_KERNEL && Libc.GetPgid(_program) == Libc.GetPgid(0);
            if (!reachedProgram && info.SenderPid != _program)
            {
                _ = Libc.Kill(_program, info.Signal);
            }
        }
    }

    internal static void Set(int signal, nint handler, ulong flags)
    {
        // struct sigaction of the x86-64 C library: handler, 128 bytes of mask, int flags, restorer.
        byte* action = stackalloc byte[152];
        new Span<byte>(action, 152).Clear();
        Marshal.WriteIntPtr((nint)action, handler);
        *(int*)(action + 136) = (int)flags;
        _ = Libc.SigAction(signal, action, null);
    }
}
