namespace SoftSgx.Kernel.Tracing;

/// <summary>Takes what happens, event by event: a file, a terminal, a test. Called by several threads, under whatever locks they hold.</summary>
public interface ITrace
{
    /// <summary>Whether events of a kind are looked at; others need not be made.</summary>
    /// <param name="kind">One kind.</param>
    /// <returns><see langword="true"/> if they are.</returns>
    public bool Wants(TraceKinds kind);

    /// <summary>Takes an event that is complete. Does not throw, and does not call back.</summary>
    /// <param name="e">The event; the caller does not change it any more.</param>
    public void Write(TraceEvent e);

    /// <summary>As <see cref="Write"/>, of one event among many: it need not become visible before the next one that is written.</summary>
    /// <param name="e">The event; the caller does not change it any more.</param>
    public void Append(TraceEvent e) => Write(e);

    /// <summary>Everything taken so far becomes visible to others.</summary>
    public void Flush();
}
