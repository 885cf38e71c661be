namespace SoftSgx.Kernel;

/// <content>
/// How the enclave appears in address spaces: where its pages are, what a mapping may ask, what the EPCM allows.
/// Behaviour: sgx_encl_may_map and sgx_encl_load_page in arch/x86/kernel/cpu/sgx/encl.c.
/// </content>
public sealed partial class Enclave
{
    /// <summary>Finds the page at a linear address.</summary>
    /// <param name="address">Any linear address; one inside a page means that page.</param>
    /// <param name="page">The page.</param>
    /// <returns><see langword="false"/> if there is none, be it outside the enclave or not added.</returns>
    public bool TryFindPage(ulong address, out EnclavePage page)
    {
        ulong offset = unchecked(address - Base);
        if (!_created || offset >= Size)
        {
            page = default;
            return false;
        }

        lock (Lock)
        {
            return _pages.TryFind(offset / EpcPool.PageSize, out page);
        }
    }

    /// <summary>Finds the EPC page at a linear address.</summary>
    /// <param name="address">Any linear address.</param>
    /// <returns>
    /// Index of the EPC page; −1 if there is none for a page table entry to point to: no page, one that is swapped out or on its way
    /// out, a poisoned one, or <see cref="IsOutOfReach"/>.
    /// </returns>
    public int EpcPageAt(ulong address)
        => !IsOutOfReach && TryFindPage(address, out EnclavePage page) && page.IsResident && !page.IsBeingReclaimed && !page.IsLost
            ? page.EpcPage
            : NoPage;

    /// <summary>The rule of mmap and mprotect: whether a range may be mapped with a protection.</summary>
    /// <param name="start">First address.</param>
    /// <param name="end">First address behind.</param>
    /// <param name="protection">The access asked.</param>
    /// <returns>
    /// EACCES: the enclave is initialised and the range leaves it, or a page exists whose maximum lacks an access asked.
    /// Pages that do not exist are no hindrance. With <see cref="IsBuiltByAddPage"/> they are, wherever the range lies, unless no
    /// access is asked, which always succeeds.
    /// </returns>
    /// <remarks>
    /// MAP_PRIVATE (EINVAL) and the personality READ_IMPLIES_EXEC (EACCES) are the caller's to refuse.
    /// </remarks>
    public Errno MayMap(ulong start, ulong end, PageProtection protection)
    {
        PageProtection asked = protection & PageProtection.Access;
        if (_builtByAddPage && asked == PageProtection.None)
        {
            return Errno.None;
        }

        if (_initialized && !Contains(start, end))
        {
            return Errno.EACCES;
        }

        if (!_created || asked == PageProtection.None)
        {
            return Errno.None;
        }

        lock (Lock)
        {
            return IsWithinMaximum(start, end, asked) && (!_builtByAddPage || IsFullyPresent(start, end))
                ? Errno.None
                : Errno.EACCES;
        }
    }

    /// <summary>
    /// What the security module says to a mapping that <see cref="MayMap"/> allows: once for each mapping made and each change of one.
    /// </summary>
    /// <param name="start">First address.</param>
    /// <param name="end">First address behind.</param>
    /// <param name="protection">The access asked.</param>
    /// <returns>EACCES if it refuses.</returns>
    public Errno AskToMap(ulong start, ulong end, PageProtection protection)
        => Subsystem.Options.Security?.Map(this, start, end, protection & PageProtection.Access) ?? Errno.None;

    /// <summary>Whether a page of a range came by EAUG. Under the lock.</summary>
    internal bool HasAugmentedPage(ulong start, ulong end)
        => _pages.AugmentedCount > 0 && HasPageInRange(start, end, static page => page.IsAugmented);

    /// <summary>Whether a page of a range may be mapped writable and executable. Under the lock.</summary>
    internal bool HasWriteExecutePage(ulong start, ulong end)
    {
        const PageProtection WriteExecute = PageProtection.Write | PageProtection.Execute;
        return _pages.WriteExecuteCount > 0 && HasPageInRange(start, end, static page => (page.Maximum & WriteExecute) == WriteExecute);
    }

    private bool HasPageInRange(ulong start, ulong end, Func<EnclavePage, bool> condition)
    {
        ulong top = Base + (Size - 1);
        if (!_created || end <= start || end - 1 < Base || start > top)
        {
            return false;
        }

        ulong last = (Math.Min(end - 1, top) - Base) / EpcPool.PageSize;
        PageMap.Cursor cursor = _pages.Walk();
        ulong index = cursor.Next((Math.Max(start, Base) - Base) / EpcPool.PageSize, out EnclavePage page);
        while (index <= last)
        {
            if (condition(page))
            {
                return true;
            }

            index = cursor.Next(index + 1, out page);
        }

        return false;
    }

    /// <summary>The most that a mapping of a page may ask.</summary>
    /// <param name="address">Any linear address.</param>
    /// <returns>The page's maximum, or <see cref="PageProtection.None"/> if there is no page.</returns>
    public PageProtection MaximumProtection(ulong address)
        => TryFindPage(address, out EnclavePage page) ? page.Maximum : PageProtection.None;

    /// <summary>What the EPCM lets the enclave do with a page.</summary>
    /// <param name="address">Any linear address.</param>
    /// <returns><see cref="PageProtection.None"/> for a TCS and if there is no page.</returns>
    public PageProtection EpcmProtection(ulong address)
        => TryFindPage(address, out EnclavePage page) ? StateOf(in page) & PageProtection.Access : PageProtection.None;

    /// <summary>
    /// Enumerates the pages of a range as maximal runs of equal state, holes included. Its cost follows the pages that exist.
    /// </summary>
    /// <param name="address">
    /// In: where to look. Out: the same, rounded down to a page: the start of the run (within the range).
    /// </param>
    /// <param name="end">End of the range; rounded up to a page.</param>
    /// <param name="epcm">
    /// What the EPCM allows for every page of the run; <see cref="PageProtection.Private"/> for TCS pages;
    /// <see cref="PageProtection.Absent"/> where there are no pages.
    /// </param>
    /// <param name="runEnd">First address behind the run: where to go on.</param>
    /// <returns><see langword="false"/> if the range is used up.</returns>
    /// <example>
    /// <code>
    /// for (ulong a = start; enclave.NextRun(ref a, end, out PageProtection epcm, out ulong runEnd); a = runEnd) { … }
    /// </code>
    /// </example>
    public bool NextRun(ref ulong address, ulong end, out PageProtection epcm, out ulong runEnd)
    {
        address &= ~(EpcPool.PageSize - 1UL);
        end = RoundUp(end);
        epcm = PageProtection.Absent;
        runEnd = end;
        if (address >= end)
        {
            return false;
        }

        if (!_created || address > Base + (Size - 1) || end <= Base)
        {
            return true;
        }

        lock (Lock)
        {
            (epcm, runEnd) = RunAt(address, end);
        }

        return true;
    }

    private bool Contains(ulong start, ulong end)
        => start >= Base && end >= start && end - Base <= Size;

    private bool IsWithinMaximum(ulong start, ulong end, PageProtection asked)
    {
        // Before INIT the range may be larger than the enclave, or lie elsewhere.
        ulong top = Base + (Size - 1);
        if (end <= start || end - 1 < Base || start > top)
        {
            return true;
        }

        ulong last = (Math.Min(end - 1, top) - Base) / EpcPool.PageSize;
        PageMap.Cursor cursor = _pages.Walk();
        ulong index = cursor.Next((Math.Max(start, Base) - Base) / EpcPool.PageSize, out EnclavePage page);
        while (index <= last)
        {
            if ((asked & ~page.Maximum) != 0)
            {
                return false;
            }

            index = cursor.Next(index + 1, out page);
        }

        return true;
    }

    private bool IsFullyPresent(ulong start, ulong end)
    {
        if (end <= start || !Contains(start, end))
        {
            return false;
        }

        PageMap.Cursor cursor = _pages.Walk();
        ulong last = (end - 1 - Base) / EpcPool.PageSize;
        for (ulong index = (start - Base) / EpcPool.PageSize; index <= last; index++)
        {
            if (cursor.Next(index, out _) != index)
            {
                return false;
            }
        }

        return true;
    }

    // The state of the page at an address and the end of its run. Address and end do not lie on the same side of the enclave.
    private (PageProtection State, ulong End) RunAt(ulong address, ulong end)
    {
        PageMap.Cursor cursor = _pages.Walk();
        ulong from = Math.Max(address, Base);
        ulong index = (from - Base) / EpcPool.PageSize;
        ulong next = cursor.Next(index, out EnclavePage page);
        if (next == PageMap.None)
        {
            return (PageProtection.Absent, end);
        }

        if (next != index || from != address)
        {
            return (PageProtection.Absent, Math.Min(end, Base + page.Offset));
        }

        PageProtection state = StateOf(in page);
        ulong pages = (end - address) / EpcPool.PageSize;
        ulong length = 1;
        while (length < pages && cursor.Next(index + length, out page) == index + length && StateOf(in page) == state)
        {
            length++;
        }

        return (state, address + (length * EpcPool.PageSize));
    }

    private PageProtection StateOf(in EnclavePage page)
    {
        if (page.IsPrivate)
        {
            return PageProtection.Private;
        }

        if (!page.IsResident)
        {
            return page.SavedPermissions;
        }

        // BLOCKED is no matter of protection: a blocked page is about to go, and comes back as it was.
        return EpcmOf(page.EpcPage);
    }

    private PageProtection EpcmOf(int epcPage)
        => (PageProtection)Subsystem.Processor.Epcm.Permissions(epcPage) & PageProtection.Access;

    private static ulong RoundUp(ulong address)
    {
        const ulong Mask = EpcPool.PageSize - 1;
        return address > ulong.MaxValue - Mask ? ~Mask : (address + Mask) & ~Mask;
    }
}
