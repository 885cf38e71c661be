namespace SoftSgx.Host.Supervision;

/// <summary>The lock of what tracers share. Not reentrant; before all other locks.</summary>
internal sealed class SupervisorLock : IDisposable
{
    private readonly ReaderWriterLockSlim _lock = new();

    /// <summary>True if the calling thread holds it, beside others or alone.</summary>
    internal bool IsHeld => _lock.IsReadLockHeld || _lock.IsWriteLockHeld;

    /// <summary>True if the calling thread holds it alone.</summary>
    internal bool IsHeldAlone => _lock.IsWriteLockHeld;

    public void Dispose() => _lock.Dispose();

    /// <summary>Takes it beside others.</summary>
    internal Scope Share()
    {
        _lock.EnterReadLock();
        return new Scope(_lock, isAlone: false);
    }

    /// <summary>Takes it alone.</summary>
    internal Scope Take()
    {
        _lock.EnterWriteLock();
        return new Scope(_lock, isAlone: true);
    }

    /// <summary>Gives it back, which the calling thread holds alone, until the scope ends.</summary>
    internal Absence Leave()
    {
        _lock.ExitWriteLock();
        return new Absence(_lock);
    }

    internal readonly ref struct Scope(ReaderWriterLockSlim held, bool isAlone)
    {
        public void Dispose()
        {
            if (isAlone)
            {
                held.ExitWriteLock();
            }
            else
            {
                held.ExitReadLock();
            }
        }
    }

    internal readonly ref struct Absence(ReaderWriterLockSlim left)
    {
        public void Dispose() => left.EnterWriteLock();
    }
}
