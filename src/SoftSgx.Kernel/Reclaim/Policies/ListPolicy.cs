namespace SoftSgx.Kernel;

/// <summary>
/// One list in the order of loading. With ageing it is Linux's LRU: a page accessed since it was looked at last goes back to the end
/// (sgx_active_page_list in arch/x86/kernel/cpu/sgx/main.c). Without, it is first in, first out.
/// </summary>
/// <param name="links">The links of EPC pages.</param>
/// <param name="ages">Whether accesses count.</param>
internal sealed class ListPolicy(EpcPageLinks links, bool ages) : IReplacementPolicy
{
    private readonly EpcPageList _list = new(links);
    private readonly bool _ages = ages;

    /// <inheritdoc/>
    public int Count => _list.Count;

    /// <inheritdoc/>
    public void Add(int page, ulong key) => _list.Append(page);

    /// <inheritdoc/>
    public void Remove(int page) => _list.Remove(page);

    /// <inheritdoc/>
    public int Detach(out bool ages)
    {
        ages = _ages;
        return _list.TakeFirst();
    }

    /// <inheritdoc/>
    public void Keep(int page) => _list.Append(page);

    /// <inheritdoc/>
    public void Evicted(int page, ulong key)
    {
        // A list remembers nothing of a page that is gone.
    }

    /// <inheritdoc/>
    public void Forget(int page)
    {
        // Nor of one whose enclave ended.
    }
}
