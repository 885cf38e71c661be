namespace SoftSgx.Host.Supervision;

/// <summary>The descriptors of a process whose reads and writes stop for us, each by a seccomp filter of its own.</summary>
/// <remarks>
/// A filter cannot be taken back, and every one costs each watched call some nanoseconds: after <see cref="Most"/> of them one for all
/// descriptors ends it. Filters survive fork and exec.
/// </remarks>
internal sealed class WatchedDescriptors
{
    /// <summary>How many have a filter of their own.</summary>
    internal const int Most = 16;

    private readonly HashSet<int> _descriptors = [];

    /// <summary>True once all are watched.</summary>
    internal bool All { get; private set; }

    /// <summary>How many filters that makes.</summary>
    internal int Filters => _descriptors.Count + (All ? 1 : 0);

    internal bool Contains(int fd) => All || _descriptors.Contains(fd);

    /// <summary>True if the next filter must be the one for all.</summary>
    internal bool IsFull => _descriptors.Count >= Most;

    /// <summary>A filter was added, for one descriptor or for all.</summary>
    internal void Add(int? fd)
    {
        if (fd is int one)
        {
            _descriptors.Add(one);
        }
        else
        {
            All = true;
        }
    }

    /// <summary>What a forked child starts with.</summary>
    internal WatchedDescriptors Copy()
    {
        WatchedDescriptors copy = new() { All = All };
        copy._descriptors.UnionWith(_descriptors);
        return copy;
    }
}
