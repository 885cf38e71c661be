namespace SoftSgx.Kernel;

/// <summary>
/// Which page leaves the EPC next. It knows the reclaimable pages, which are the REG and TCS pages of all enclaves; each of them is either
/// with the policy or detached, in the hands of the reclaimer.
/// </summary>
/// <remarks>The reclaimer's list lock guards it. A page's key stays the same while it is out and comes back in another EPC page.</remarks>
internal interface IReplacementPolicy
{
    /// <summary>Pages that can be detached.</summary>
    public int Count { get; }

    /// <summary>A page came into the EPC, new or loaded.</summary>
    /// <param name="page">The EPC page.</param>
    /// <param name="key">Which page of which enclave it is.</param>
    public void Add(int page, ulong key);

    /// <summary>A page that is not detached leaves the EPC without the reclaimer.</summary>
    public void Remove(int page);

    /// <summary>Detaches the page that is to go first.</summary>
    /// <param name="ages">Its Accessed state decides whether it may stay.</param>
    /// <returns>The page; −1 if there is none.</returns>
    public int Detach(out bool ages);

    /// <summary>A detached page stays.</summary>
    public void Keep(int page);

    /// <summary>A detached page was swapped out.</summary>
    /// <param name="page">The EPC page that it was in.</param>
    /// <param name="key">Which page of which enclave it is.</param>
    public void Evicted(int page, ulong key);

    /// <summary>A detached page is gone otherwise: its enclave ended.</summary>
    public void Forget(int page);
}
