namespace SoftSgx.Kernel;

/// <summary>
/// 2Q. New pages wait in a short queue, A1in, where accesses do not count; those that are loaded again soon after they left it join Am,
/// the list of pages that are used again and again, where accesses count as in Linux's list.
/// T. Johnson and D. Shasha, "2Q: A Low Overhead High Performance Buffer Management Replacement Algorithm", VLDB 1994: A1in has
/// a quarter of the pages, A1out remembers as many as half of them.
/// </summary>
internal sealed class TwoQueuesPolicy : IReplacementPolicy
{
    private readonly EpcPageList _in;
    private readonly EpcPageList _main;
    private readonly bool[] _isMain; // of pages on a list or detached
    private readonly GhostQueue _out;
    private readonly int _inQuota;

    /// <summary>The policy of an EPC.</summary>
    public TwoQueuesPolicy(EpcPageLinks links, int pages)
    {
        _in = new EpcPageList(links);
        _main = new EpcPageList(links);
        _isMain = new bool[pages];
        _out = new GhostQueue(pages / 2);
        _inQuota = Math.Max(1, pages / 4);
    }

    /// <inheritdoc/>
    public int Count => _in.Count + _main.Count;

    /// <inheritdoc/>
    public void Add(int page, ulong key)
    {
        _isMain[page] = _out.Remove(key);
        Keep(page);
    }

    /// <inheritdoc/>
    public void Remove(int page) => ListOf(page).Remove(page);

    /// <inheritdoc/>
    public int Detach(out bool ages)
    {
        ages = _in.Count <= _inQuota && _main.Count > 0;
        return (ages ? _main : _in).TakeFirst();
    }

    /// <inheritdoc/>
    public void Keep(int page) => ListOf(page).Append(page);

    /// <inheritdoc/>
    public void Evicted(int page, ulong key)
    {
        if (!_isMain[page])
        {
            _out.Add(key);
        }
    }

    /// <inheritdoc/>
    public void Forget(int page) => _isMain[page] = false;

    private EpcPageList ListOf(int page) => _isMain[page] ? _main : _in;
}
