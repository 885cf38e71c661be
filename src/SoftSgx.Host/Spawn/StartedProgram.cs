namespace SoftSgx.Host.Spawn;

/// <summary>The outcome of starting a program: its process id, or the errno of the call that failed.</summary>
/// <param name="Pid">Process id; zero when the start failed.</param>
/// <param name="Errno">The errno, zero on success.</param>
/// <param name="FailedCall">Which call failed, for the message.</param>
internal readonly record struct StartedProgram(int Pid, int Errno, string FailedCall)
{
    internal bool Started => Pid > 0;
}
