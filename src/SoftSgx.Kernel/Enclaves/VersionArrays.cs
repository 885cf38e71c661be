using SoftSgx.Architecture;

namespace SoftSgx.Kernel;

/// <summary>
/// The version-array pages of one enclave: 512 slots of 8 bytes each, one slot for every page that the enclave has, its SECS
/// included, so that every page can be evicted at any time.
/// Behaviour: sgx_encl_grow and sgx_encl_shrink in arch/x86/kernel/cpu/sgx/ioctl.c.
/// </summary>
/// <remarks>
/// The pages come from the pool and count as PT_VA there. As long as nothing is evicted, no leaf touches them: their EPCM
/// entries stay invalid until EPA makes them version arrays. The ioctl that builds the enclave is the only writer.
/// </remarks>
/// <param name="subsystem">Where the pages come from.</param>
internal sealed class VersionArrays(SgxSubsystem subsystem)
{
    /// <summary>Slots of a version array.</summary>
    public const int SGX_VA_SLOT_COUNT = 512;

    private const int NoPage = -1;

    private readonly List<int> _pages = [];
    private int _pageCount;

    /// <summary>Number of version-array pages.</summary>
    public int Count => _pages.Count;

    /// <summary>Makes room for one more enclave page.</summary>
    /// <param name="added">The version-array page added for it, or −1 if the last one had a free slot.</param>
    /// <returns><see langword="false"/> if one was needed and no EPC page is free.</returns>
    public bool TryGrow(out int added)
    {
        added = NoPage;
        if (_pageCount % SGX_VA_SLOT_COUNT == 0)
        {
            if (!subsystem.TryAllocateEpcPage(PageType.PT_VA, out added))
            {
                return false;
            }

            subsystem.Platform.AttachPrivate(added);
            _pages.Add(added);
        }

        _pageCount++;
        return true;
    }

    /// <summary>Takes back what <see cref="TryGrow"/> did last.</summary>
    /// <param name="added">What it answered.</param>
    public void Shrink(int added)
    {
        _pageCount--;
        if (added != NoPage)
        {
            _pages.Remove(added);
            Free(added);
        }
    }

    /// <summary>Frees all pages: the enclave is gone.</summary>
    public void Clear()
    {
        _pages.ForEach(Free);
        _pages.Clear();
        _pageCount = 0;
    }

    private void Free(int page)
    {
        subsystem.Platform.DetachPrivate(page);
        subsystem.Pool.Return(page);
    }
}
