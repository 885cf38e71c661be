namespace SoftSgx.Host.Supervision;

/// <summary>What becomes of a system call that the filter stopped.</summary>
internal readonly record struct CallVerdict
{
    private CallVerdict(bool skip, long result, PendingCall pending, bool registersChanged)
    {
        Skip = skip;
        Result = result;
        Pending = pending;
        RegistersChanged = registersChanged;
    }

    /// <summary>The kernel does not see the call; its result is <see cref="Result"/>.</summary>
    internal bool Skip { get; }

    internal long Result { get; }

    /// <summary>What to do at the call's end.</summary>
    internal PendingCall Pending { get; }

    /// <summary>The call goes to the kernel with other arguments than the program's.</summary>
    internal bool RegistersChanged { get; }

    /// <summary>The process goes to a tracer of its own, which answers the call.</summary>
    internal bool IsForAnotherTracer { get; private init; }

    internal static CallVerdict GoOn => default;

    internal static CallVerdict ForAnotherTracer => new() { IsForAnotherTracer = true };

    internal static CallVerdict WatchEnd(PendingCall pending) => new(false, 0, pending, false);

    internal static CallVerdict ChangedWatchEnd(PendingCall pending) => new(false, 0, pending, true);

    internal static CallVerdict Return(long result, PendingCall pending = PendingCall.None) => new(true, result, pending, true);

    internal static CallVerdict Fail(int errno) => Return(-errno);
}
