namespace SoftSgx.Simulation;

/// <summary>A trace cannot be run against an EPC: it is too small. The message is for a user to read.</summary>
public sealed class SimulationException : Exception
{
    /// <summary>An exception without a message.</summary>
    public SimulationException()
    {
    }

    /// <summary>An exception with a message.</summary>
    /// <param name="message">The message.</param>
    public SimulationException(string message)
        : base(message)
    {
    }

    /// <summary>An exception with a cause.</summary>
    /// <param name="message">The message.</param>
    /// <param name="innerException">The cause.</param>
    public SimulationException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
