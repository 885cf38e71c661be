using SoftSgx.Architecture;

namespace SoftSgx.Kernel;

/// <summary>
/// The version arrays of one enclave: 512 slots of 8 bytes a page, one slot for every page that the enclave has, its SECS included, so
/// that every page can be evicted at any time. A slot is what makes an old copy of a page worthless.
/// Behaviour: sgx_encl_grow, sgx_encl_shrink, sgx_alloc_va_page, sgx_alloc_va_slot in arch/x86/kernel/cpu/sgx.
/// </summary>
/// <remarks>
/// Pages are counted by the one ioctl in progress before INIT, and under the enclave's lock after it; the arrays themselves and their slots are guarded by the enclave's lock. A page that the
/// ioctl has got for a new array is added to them by <see cref="Add"/>, in the same step as the enclave page that it is for, so
/// no slot of it is taken before that is sure to stay. Slots are numbered: 512 times the array's position plus the slot in it.
/// </remarks>
/// <param name="subsystem">Where the pages come from.</param>
internal sealed class VersionArrays(SgxSubsystem subsystem)
{
    /// <summary>Slots of a version array.</summary>
    public const int SGX_VA_SLOT_COUNT = 512;

    private const int NoPage = -1;

    private readonly List<int> _pages = [];
    private readonly SlotBitmap _slots = new();
    private int _pageCount;

    /// <summary>Number of version-array pages.</summary>
    public int Count => _pages.Count;

    /// <summary>Slots that hold the version of a page.</summary>
    public int TakenSlots => _slots.Taken;

    /// <summary>Counts one more enclave page, and gets an EPC page for a new array if that is the first it needs a slot in.</summary>
    /// <param name="added">The page, to be given to <see cref="Add"/> or <see cref="Undo"/>; −1 if none is needed.</param>
    /// <returns>ENOMEM: no EPC page is free or reclaimable. EFAULT: EPA failed.</returns>
    public Errno Grow(out int added)
    {
        added = NoPage;
        if (_pageCount == _pages.Count * SGX_VA_SLOT_COUNT)
        {
            if (!subsystem.TryAllocateEpcPage(PageType.PT_VA, out added))
            {
                return Errno.ENOMEM;
            }

            subsystem.Platform.AttachPrivate(added);
            if (!subsystem.Encls.EPa(added).IsSuccess)
            {
                Free(added);
                added = NoPage;
                return Errno.EFAULT;
            }
        }

        _pageCount++;
        return Errno.None;
    }

    /// <summary>
    /// What <see cref="Grow"/> and <see cref="Add"/> do, for a page fault: without reclaiming directly. Under the enclave's lock.
    /// </summary>
    /// <returns><see cref="FaultOutcome.Present"/>, <see cref="FaultOutcome.Retry"/> or <see cref="FaultOutcome.Exhausted"/>.</returns>
    public FaultOutcome GrowForFault()
    {
        if (_pageCount == _pages.Count * SGX_VA_SLOT_COUNT)
        {
            FaultOutcome outcome = subsystem.TryAllocateForFault(PageType.PT_VA, out int added);
            if (outcome != FaultOutcome.Present)
            {
                return outcome;
            }

            subsystem.Platform.AttachPrivate(added);
            if (!subsystem.Encls.EPa(added).IsSuccess)
            {
                Free(added);
                return FaultOutcome.Exhausted;
            }

            Add(added);
        }

        _pageCount++;
        return FaultOutcome.Present;
    }

    /// <summary>One enclave page less. Its array stays, even if nothing needs it any more. Under the enclave's lock.</summary>
    public void Shrink() => _pageCount--;

    /// <summary>Adds the page that <see cref="Grow"/> got. Under the enclave's lock.</summary>
    /// <param name="added">The page, or −1.</param>
    public void Add(int added)
    {
        if (added == NoPage)
        {
            return;
        }

        _pages.Add(added);
        _slots.Add(SGX_VA_SLOT_COUNT);
    }

    /// <summary>Takes <see cref="Grow"/> back: the enclave page does not come after all, and <see cref="Add"/> was not called.</summary>
    /// <param name="added">The page, or −1.</param>
    public void Undo(int added)
    {
        _pageCount--;
        if (added != NoPage)
        {
            Free(added);
        }
    }

    /// <summary>Takes a free slot. There is one for every page of the enclave. Under the enclave's lock.</summary>
    public int TakeSlot()
    {
        int slot = _slots.Take();
        return slot >= 0 ? slot : throw new InvalidOperationException("The enclave has more pages than slots in its version arrays.");
    }

    /// <summary>Gives a slot back, which the processor has emptied or is never to find used. Under the enclave's lock.</summary>
    public void ReturnSlot(int slot) => _slots.Return(slot);

    /// <summary>Where a slot is.</summary>
    /// <param name="slot">Its number.</param>
    /// <returns>The EPC page of the array and the slot's offset in it in bytes.</returns>
    public (int Page, int Offset) Locate(int slot)
        => (_pages[slot / SGX_VA_SLOT_COUNT], slot % SGX_VA_SLOT_COUNT * VersionArray.SlotSize);

    /// <summary>Frees all pages: the enclave is gone. Under the enclave's lock, and no ioctl is in progress.</summary>
    public void Clear()
    {
        _pages.ForEach(Free);
        _pages.Clear();
        _slots.Clear();
        _pageCount = 0;
    }

    private void Free(int page)
    {
        subsystem.Encls.ERemove(page);
        subsystem.Platform.DetachPrivate(page);
        subsystem.Pool.Return(page);
    }
}
