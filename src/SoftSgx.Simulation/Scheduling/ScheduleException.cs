namespace SoftSgx.Simulation;

/// <summary>A schedule in which something went wrong: the message has the seed to replay it, and the points that led there.</summary>
public sealed class ScheduleException : Exception
{
    /// <summary>An exception without a message.</summary>
    public ScheduleException()
    {
    }

    /// <summary>An exception with a message.</summary>
    /// <param name="message">The message.</param>
    public ScheduleException(string message)
        : base(message)
    {
    }

    /// <summary>An exception that a virtual thread threw.</summary>
    /// <param name="message">The message.</param>
    /// <param name="innerException">What it threw.</param>
    public ScheduleException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
