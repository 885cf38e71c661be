using System.Runtime.InteropServices;
using SoftSgx.Host.Interop;
using SoftSgx.Host.Signals;
using SoftSgx.Host.Spawn;
using static SoftSgx.Host.Interop.Native;

namespace SoftSgx.Host;

/// <summary>
/// Standard output of a command: when nobody reads it any more, the command ends as others do, by SIGPIPE and without a word.
/// </summary>
/// <remarks>
/// The runtime ignores SIGPIPE, and the Console class goes on writing into nothing. Who started the command with SIGPIPE ignored is told of
/// the broken pipe instead, as signal(7) lets them ask for.
/// </remarks>
public sealed unsafe class StandardOutputStream : Stream
{
    private const int Descriptor = 1;
    private const int StatusOfSigPipe = 128 + SIGPIPE;

    /// <inheritdoc/>
    public override bool CanRead => false;

    /// <inheritdoc/>
    public override bool CanSeek => false;

    /// <inheritdoc/>
    public override bool CanWrite => true;

    /// <inheritdoc/>
    public override long Length => throw new NotSupportedException();

    /// <inheritdoc/>
    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    /// <inheritdoc/>
    /// <exception cref="HostException">It cannot be written; the message says why.</exception>
    public override void Write(ReadOnlySpan<byte> buffer)
    {
        fixed (byte* p = buffer)
        {
            for (nint done = 0; done < buffer.Length;)
            {
                nint written = Libc.Write(Descriptor, p + done, (nuint)(buffer.Length - done));
                if (written < 0)
                {
                    OnError(Libc.Errno);
                }
                done += Math.Max(written, 0);
            }
        }
    }

    /// <inheritdoc/>
    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    /// <inheritdoc/>
    public override void Flush()
    {
    }

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    /// <inheritdoc/>
    public override void SetLength(long value) => throw new NotSupportedException();

    /// <summary>Returns if it is worth another try.</summary>
    private static void OnError(int errno)
    {
        switch (errno)
        {
            case EINTR:
                return;
            case EAGAIN: // somebody else made the pipe non-blocking
                PollFd poll = new() { Fd = Descriptor, Events = POLLOUT };
                _ = Libc.Syscall(SYS_poll, (nint)(&poll), 1, -1);
                return;
            case EPIPE when (LaunchEnvironment.Read().IgnoredSignals & LaunchEnvironment.SignalBit(SIGPIPE)) == 0:
                EndBySigPipe();
                return;
            default:
                throw new HostException($"standard output cannot be written: {Marshal.GetPInvokeErrorMessage(errno)}");
        }
    }

    private static void EndBySigPipe()
    {
        SignalForwarder.Set(SIGPIPE, (nint)SIG_DFL, 0);
        _ = Libc.Kill(Libc.GetPid(), SIGPIPE);
        Libc.ExitNow(StatusOfSigPipe); // it is blocked
    }

    /// <summary>struct pollfd of poll(2).</summary>
    private struct PollFd
    {
        public int Fd;
        public short Events, Returned;
    }
}
