namespace SoftSgx.Host;

/// <summary>The host cannot do what SoftSGX needs: a missing permission, a kernel that is too old, no memory.</summary>
/// <remarks>The message is one line for the user: what failed and, where there is one, the cure.</remarks>
public sealed class HostException : Exception
{
    /// <summary>Creates it with a line for the user.</summary>
    public HostException(string message) : base(message)
    {
    }
}
